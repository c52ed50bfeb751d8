// Models of a hub in the tab: streamed, kept, resumed, without a network, from a mirror, on a full disk. Configurations are
// `configs/narrate.toml` with another model.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { Hub, checkpoint, id, origins } from "./hub.mjs";
import { address, button, heard, launchOn, open, patience, titled } from "./browser.mjs";

const picture = process.env.PICTURE;
const MINUTES = 60_000 * patience;

export const tests = [];
const test = (name, run) => tests.push({ name, run });
const long = (name, run) => tests.push({ name, run, isLong: true });

const narrate = readFileSync(new URL("../../../configs/narrate.toml", import.meta.url), "utf8").replace('"pocket-vl"', `"${id}"`);

// What the program says about the picture with the same weights.
const said = (folder) => {
  const args = ["narrate", "--engine", "sim", "--json", "--model", folder, picture];
  const lines = execFileSync(process.env.QWGLM, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim().split("\n");
  return lines.map((line) => JSON.parse(line)).findLast(({ text }) => text).text;
};

// A browser whose tabs share what they keep, and a hub; both are closed whatever happens.
async function withHub(folder, work) {
  const hub = await new Hub(folder).open();
  const disk = mkdtempSync(`${tmpdir()}/qwglm-`);
  const context = await launchOn(disk);
  try {
    await context.addInitScript((text) => localStorage.setItem("qwglm.config", text), narrate);
    return await work(hub, (before) => open(null, { context, before }), context);
  } finally {
    await context.close();
    rmSync(disk, { recursive: true, force: true });
    await hub.close().catch(() => { /* The test closed it. */ });
  }
}

const begin = (page) => page.locator("input[type=file]").setInputFiles(picture);
const isWeights = ({ file }) => file.endsWith(".safetensors");
const figures = (page) => page.locator(".loading .figures");

test("a model of a hub streams to the program's words, goes on after the tab was closed, and starts without the hub", async () => {
  const folder = checkpoint("small");
  const words = said(folder);
  return withHub(folder, async (hub, visit) => {
    let [release, reached] = [];
    const held = new Promise((go) => { release = go; });
    const last = new Promise((go) => { reached = go; });
    hub.answer = (place, file) => (place === "store" && file.startsWith("model-00003") ? (reached(), held.then(() => null)) : null);
    let page = await visit();
    await begin(page);
    await titled(page, "Bringing the model here");
    await page.waitForFunction(() => /[1-9][\d.]* MiB of \d+/.test(document.querySelector(".loading .figures")?.textContent ?? ""));
    await button(page, "Pause").click();
    await button(page, "Go on").click();
    await last;
    const before = hub.served.filter(isWeights).map(({ file, start }) => `${file} ${start}`);
    assert.equal(before.length, 2);
    const shown = await figures(page).textContent();
    await page.close();
    hub.answer = () => null;
    hub.served = [];
    release();
    page = await visit();
    await begin(page);
    assert.equal(await heard(page, (text) => text.length > 0), words);
    const after = hub.served.filter(isWeights).map(({ file, start }) => `${file} ${start}`);
    assert.deepEqual(after.filter((block) => before.includes(block)), [], "what was kept was asked for again");
    assert(after.length > 0 && page.asked.some((url) => url.startsWith(origins[2])), "the store on another origin was asked");
    const elsewhere = page.asked.filter((url) => ![address, ...origins, "blob:"].some((start) => url.startsWith(start)));
    assert.deepEqual(elsewhere, [], "the page asked somebody else");
    assert.deepEqual(page.said.filter((line) => /exception|Content Security|panicked/.test(line)), []);
    await page.close();
    await hub.close();
    page = await visit();
    await begin(page);
    await titled(page, /Narrating your pictures|Done/, 3 * MINUTES);
    return `closed at ${shown}; "${words}"`;
  });
});

test("a hub that fails is made good by the mirror, and a cut connection by asking again", () =>
  withHub(checkpoint("small"), async (hub, visit) => {
    let isCut = false;
    hub.answer = (place, file) => {
      if (place === "hub") return file === "main" ? null : 500;
      if (place === "store" && file.startsWith("model-00002") && !isCut) return (isCut = true) && "cut";
      return null;
    };
    const page = await visit();
    await begin(page);
    await titled(page, /Narrating your pictures|Done/, 3 * MINUTES);
    assert(isCut && page.asked.some((url) => url.startsWith(origins[1])));
  }));

test("a model that no host has is a failure in words", () =>
  withHub(checkpoint("small"), async (hub, visit) => {
    hub.answer = () => 404;
    const page = await visit();
    await begin(page);
    await titled(page, "The model did not arrive");
    assert.match(await page.locator(".failure pre").textContent(), /owner\/model did not arrive.*404/s);
  }));

test("on a full disk a model of a hub is used without being kept", () =>
  withHub(checkpoint("small"), async (hub, visit, context) => {
    const page = await visit();
    const devtools = await context.newCDPSession(page);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin: address, quotaSize: 6 << 20 });
    await begin(page);
    await page.getByText("There is no room to keep the model.").first().waitFor({ timeout: 3 * MINUTES });
    await titled(page, /Narrating your pictures|Done/, 3 * MINUTES);
    return (await page.locator(".notice").first().textContent()).trim();
  }));

test("a model of a hub is planned from its configuration and its list of files", () =>
  withHub(checkpoint("small"), async (hub, visit) => {
    const page = await visit();
    await page.getByRole("link", { name: "Models" }).click();
    await page.getByLabel("Its id").fill(id);
    await page.locator(".cards dl").nth(3).waitFor({ timeout: 2 * MINUTES });
    await button(page, "Plan it").click();
    const card = page.locator(".cards li").filter({ hasText: id });
    await card.waitFor({ timeout: 2 * MINUTES });
    assert.match(await card.textContent(), /Fits.*Download.*MiB.*Memory.*MiB.*a second/s);
    assert.deepEqual(hub.served.filter(isWeights), [], "weights were downloaded for it");
    const outlook = (await card.locator("dl").textContent()).trim();
    await button(page, "Use it").click();
    await page.getByText(`In use: ${id}`).waitFor();
    await page.getByLabel("Its id").fill("nobody/nothing");
    await button(page, "Plan it").click();
    await page.getByText(/nobody\/nothing did not arrive/).waitFor();
    return outlook;
  }));

// Rows of a vocabulary with which two tables have 1.5 GB.
const ROWS = 983_040;
const MAX_HEAP_BYTES = 512 << 20;

// The heap of the worker's program, which only grows.
async function showHeap(page) {
  await page.route("**/hashed/worker-*.js", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: `${await answer.text()}\nready.then((program) => (self.heap = program.memory));` });
  });
}

// As when the browser runs out of memory, or a person ends its process.
async function crash(page, context) {
  const devtools = await context.newCDPSession(page);
  const gone = page.waitForEvent("crash");
  devtools.send("Page.crash").catch(() => { /* Nobody is left to answer. */ });
  await gone;
  await page.close();
}

long("a checkpoint of 1.5 GB streams to an answer, the tab killed once in between, in a heap of less than 512 MiB", () => {
  const folder = checkpoint("large", ROWS);
  return withHub(folder, async (hub, visit, context) => {
    let page = await visit(showHeap);
    await begin(page);
    await page.waitForFunction(() => Number(document.querySelector(".loading .figures")?.textContent.split(" ")[0]) > 500, null, { timeout: 10 * MINUTES });
    const before = hub.served.filter(isWeights).length;
    await crash(page, context);
    hub.served = [];
    page = await visit(showHeap);
    await begin(page);
    const words = await heard(page, (text) => text.length > 0, 30 * MINUTES);
    const after = hub.served.filter(isWeights).length;
    assert(before + after <= Math.ceil((1.53 * 1e9) / (16 << 20)) + 6, `${before} blocks before, ${after} after: some came twice`);
    const heap = await page.workers()[0].evaluate(() => self.heap.buffer.byteLength);
    assert(heap < MAX_HEAP_BYTES, `the heap has ${heap} bytes`);
    return `heap ${(heap / 2 ** 20).toFixed(0)} MiB, ${before} blocks before, ${after} after; "${words}"`;
  });
});
