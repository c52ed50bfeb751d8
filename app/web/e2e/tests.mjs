// What the page does in a real browser, from a person's side. Configurations are unmodified; fakes stand only at the browser's own
// interfaces: the screen, a person who declines, a device that is destroyed.
import assert from "node:assert/strict";
import { address, button, denyScreen, destroyDevice, fakeScreen, heard, holdDevices, launch, open, patience, titled, withPage } from "./browser.mjs";
import { faultsInBoth, faultsOf } from "./axe.mjs";

const picture = process.env.PICTURE; // a PNG
const words = process.env.WORDS; // what the program says about it

export const tests = [];
const test = (name, run) => tests.push({ name, run });
// Runs with `--long` alone: minutes where nothing is optimised and the GPU is played in software.
const long = (name, run) => tests.push({ name, run, isLong: true });

// Keeps what the loading screen said.
async function watchLoading(page) {
  await page.addInitScript(() => {
    globalThis.loadingSaid = new Set();
    const look = () => {
      const figures = document.querySelector(".loading .figures");
      if (figures) globalThis.loadingSaid.add(figures.textContent);
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  });
}

// Of the page's thread in a trace: how many tasks it had, and the processor's time in the longest, in milliseconds.
function tasksOf({ traceEvents }) {
  const isMain = ({ name, args }) => name === "thread_name" && args.name === "CrRendererMain";
  const mains = new Set(traceEvents.filter(isMain).map(({ pid, tid }) => `${pid} ${tid}`));
  const tasks = traceEvents.filter(({ pid, tid, tdur }) => tdur !== undefined && mains.has(`${pid} ${tid}`));
  return { n: tasks.length, longest: Math.max(...tasks.map(({ tdur }) => tdur)) / 1000 };
}

// The figure is told and not held to anything: how long a task takes is the machine's business too.
test("the page's thread draws words while they stream", () =>
  withPage({}, async (page, browser) => {
    await page.locator("input[type=file]").setInputFiles(picture);
    await titled(page, "Narrating your pictures");
    await browser.startTracing(page, { categories: ["toplevel"] });
    await heard(page, (text) => text.endsWith("."));
    const { n, longest } = tasksOf(JSON.parse(await browser.stopTracing()));
    assert(n > 10, "the trace has no tasks");
    return `the longest of ${n} tasks took ${longest.toFixed(1)} ms of the processor`;
  }));

test("the page opens at once", () =>
  withPage({}, async (page) => {
    await page.waitForFunction(() => ["interactive", "first-contentful-paint"].every((name) => performance.getEntriesByName(name)[0]));
    const { paint, interactive } = await page.evaluate(() => ({
      paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
      interactive: performance.getEntriesByName("interactive")[0]?.startTime ?? 0,
    }));
    assert(paint > 0 && interactive > 0);
    return `first paint after ${paint.toFixed(0)} ms, interactive after ${interactive.toFixed(0)} ms`;
  }));

test("a shared screen is narrated in the live region", () =>
  withPage(
    {
      before: async (page) => {
        await fakeScreen(page, ["024"]);
        await watchLoading(page);
      },
    },
    async (page) => {
      await button(page, "Share a screen").click();
      await titled(page, "Narrating your screen");
      const said = await page.evaluate(() => [...globalThis.loadingSaid]);
      assert(said.some((line) => /^[\d.]+ MiB of \d+\.\d MiB/.test(line)), `no progress was shown: ${said.join(" | ")}`);
      const heardWords = await heard(page, (text) => text.endsWith("."));
      assert.match(heardWords, /terminal|window|dialog/i);
      assert.equal(await page.locator(".transcript li .words").last().textContent(), heardWords);
      assert.match(await page.locator("figcaption").textContent(), /\w/);
      const faults = await faultsInBoth(page, "live");
      // The graph at work, meanwhile.
      await page.getByRole("link", { name: "Pipeline" }).click();
      const card = page.locator(".graph > li").filter({ hasText: "llm.generate" });
      await card.getByText(/\d+ out/).waitFor();
      assert.match(await card.textContent(), /from tokens: \d of 1 full, \d+ sent.*drop oldest/s);
      faults.push(...(await faultsInBoth(page, "Pipeline at work")));
      assert.deepEqual(faults, []);
      await page.getByRole("link", { name: "Narrate" }).click();
      await button(page, "Stop").click();
      await titled(page, "Done");
      const elsewhere = page.asked.filter((url) => !url.startsWith(address) && !url.startsWith("blob:"));
      assert.deepEqual(elsewhere, [], "the page asked somebody else");
      assert.deepEqual(page.said.filter((line) => /exception|Content Security|panicked/.test(line)), []);
      return `"${heardWords}"`;
    },
  ));

test("a device destroyed in mid-sentence comes back, and the words are the program's", () =>
  withPage({ before: holdDevices }, async (page) => {
    await page.locator("input[type=file]").setInputFiles(picture);
    const streamed = page.locator(".transcript li .words").first();
    await page.waitForFunction(() => (document.querySelector(".transcript li .words")?.textContent.length ?? 0) > 12, null, {
      timeout: 180_000 * patience,
    });
    const before = await streamed.textContent();
    await destroyDevice(page);
    await heard(page, (text) => text.startsWith("The GPU was lost"));
    const whole = await heard(page, (text) => !text.startsWith("The GPU was lost"));
    await titled(page, "Done");
    assert(whole.startsWith(before) && whole.length > before.length, `"${before}" did not go on in "${whole}"`);
    assert.equal(whole, words);
    return `lost after "${before}"`;
  }));

test("a denied share says so and offers other ways", () =>
  withPage({ before: denyScreen }, async (page) => {
    await button(page, "Share a screen").click();
    await titled(page, "Nothing was shared");
    assert(await button(page, "Play the sample recording").isVisible());
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1", "the focus moves to the words");
    await button(page, "Back to the start").click();
    await titled(page, "Hear what is on your screen");
  }));

test("a browser that cannot share says so", () =>
  withPage(
    { before: (page) => page.addInitScript(() => delete MediaDevices.prototype.getDisplayMedia) },
    async (page) => {
      await button(page, "Share a screen").click();
      await titled(page, "This browser cannot share a screen");
      assert(await button(page, "Play the sample recording").isVisible());
    },
  ));

test("without WebGPU the page says so and offers the processor", () =>
  withPage({ webgpu: false }, async (page) => {
    await page.locator("input[type=file]").setInputFiles(picture);
    await titled(page, "This browser offers no WebGPU");
    await button(page, "Compute on the processor").click();
    await titled(page, /Narrating your pictures|Done/);
    await page.getByText("the processor (simulator)").waitFor();
  }));

long("without WebGPU the processor narrates", () =>
  withPage({ webgpu: false }, async (page) => {
    await page.locator("input[type=file]").setInputFiles(picture);
    await titled(page, "This browser offers no WebGPU");
    await button(page, "Compute on the processor").click();
    const whole = await heard(page, (text) => text.length > 0);
    assert.equal(whole, words);
    const rate = await page.locator(".numbers dd").first().textContent();
    return `${rate} tokens a second`;
  }));

test("a model that does not arrive is a failure with a second try", () =>
  withPage({}, async (page) => {
    await page.route("**/*model.safetensors-*.zz", (route) => route.abort());
    await page.locator("input[type=file]").setInputFiles(picture);
    await titled(page, "The model did not arrive");
    await page.unroute("**/*model.safetensors-*.zz");
    await button(page, "Try again").click();
    await titled(page, /Narrating your pictures|Done/);
  }));

test("a download can be held and cancelled", () =>
  withPage({}, async (page) => {
    await page.route("**/*model.safetensors-*.zz", async (route) => {
      await new Promise((go) => setTimeout(go, 3000));
      await route.continue().catch(() => {});
    });
    await page.locator("input[type=file]").setInputFiles(picture);
    await button(page, "Pause").click();
    await button(page, "Go on").waitFor();
    assert.deepEqual(await faultsInBoth(page, "loading"), []);
    await button(page, "Cancel").click();
    await titled(page, "Hear what is on your screen");
  }));

test("the page opens and loads without a network", async () => {
  const browser = await launch();
  try {
    const page = await open(browser, { options: { serviceWorkers: "allow" } });
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.reload();
    await titled(page, "Hear what is on your screen");
    await page.locator("input[type=file]").setInputFiles(picture);
    await titled(page, "Narrating your pictures");
    await page.context().setOffline(true);
    await page.reload();
    await titled(page, "Hear what is on your screen");
    await page.locator("input[type=file]").setInputFiles(picture);
    await titled(page, "Narrating your pictures");
  } finally {
    await browser.close();
  }
});

test("a configuration is checked while it is written", () =>
  withPage({}, async (page) => {
    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByText("No fault.").waitFor();
    const text = page.locator("textarea");
    await text.fill((await text.inputValue()).replace('from = "screen", size = 2, when_full = "wait"', 'from = "scren"').replace("quant  = 8", "quant  = 5"));
    await page.locator(".faults li").nth(1).waitFor();
    const faults = await page.locator(".faults").textContent();
    assert.match(faults, /line \d+: stage\.changes\.input.*scren/s);
    assert.match(faults, /line \d+: model\.eyes\.quant: is 5; accepted: 4, 8/);
    await page.getByRole("link", { name: "Narrate" }).click();
    await button(page, "Play the sample recording").click();
    await titled(page, "The configuration has faults");
    await page.getByRole("link", { name: "To the settings" }).click();
    await button(page, "Bring the original back").click();
    await page.getByText("No fault.").waitFor();
  }));

test("models are planned before any download", () =>
  withPage({}, async (page) => {
    await page.getByRole("link", { name: "Models" }).click();
    await page.locator(".cards dl").nth(3).waitFor({ timeout: 120_000 });
    await page.getByLabel("On a GPU like").selectOption({ label: await page.locator("select option").filter({ hasText: "3060" }).first().textContent() });
    const cards = await page.locator(".cards li").allTextContents();
    assert.match(cards[0], /Fits.*MiB.*a second.*ms/s);
    assert.match(cards[3], /[\d.]+ GiB/);
    assert.deepEqual(page.asked.filter((url) => /model\.safetensors-/.test(url)), [], "nothing was downloaded for it");
    return cards[3].replace(/^.*(Fits|Does not fit)/s, "8B on an RTX 3060: $1 ");
  }));

test("tiny-gpu is stepped to its end, and the impossible one is faster", () =>
  withPage({}, async (page) => {
    await page.getByRole("link", { name: "Simulator" }).click();
    await page.getByRole("button", { name: "Step", exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.getByText(/^Cycle 2,/).waitFor();
    for (let i = 0; i < 18; i++) await page.getByRole("button", { name: "10 steps" }).click({ force: true, timeout: 2000 }).catch(() => {});
    await page.getByText("Done after 178 cycles.").waitFor();
    assert.match(await page.locator(".memory").getAttribute("aria-label"), /0 2 4 6 8 10 12 14/);
    const rows = await page.locator(".worth tbody tr").allTextContents();
    assert.match(rows[0], /as it is\s*178/);
    await page.getByRole("checkbox", { name: "zero latency" }).check();
    for (let i = 0; i < 18; i++) await page.getByRole("button", { name: "10 steps" }).click({ timeout: 1000 }).catch(() => {});
    const told = await page.getByText(/^Done after \d+ cycles/).textContent();
    assert(Number(told.match(/\d+/)[0]) < 178, told);
    return rows.at(-1).trim();
  }));

test("a decode step is measured beside what it could take, and looked at by keyboard", () =>
  withPage({}, async (page) => {
    await page.getByRole("link", { name: "Simulator" }).click();
    const said = page.locator("figure.step figcaption");
    await said.getByText(/^Not measured; modelled/).waitFor();
    await page.locator(".gpus tbody tr").nth(9).waitFor();
    assert.match(await page.locator(".gpus tbody").textContent(), /4090.*3060/s, "the fastest comes first");
    await button(page, "Load the model and measure").press("Enter");
    await said.getByText(/^Real /).waitFor({ timeout: 180_000 * patience });
    const names = await page.locator("figure.step svg").evaluateAll((all) => all.map((svg) => svg.getAttribute("aria-label")));
    assert.deepEqual(names.map((name) => name.split(":")[0]), ["Real", "Modelled", "Impossible"]);
    const slider = page.getByRole("slider", { name: "Dispatch" });
    await slider.focus();
    await page.keyboard.press("ArrowRight");
    assert.match(await slider.getAttribute("aria-valuetext"), /^Dispatch 2 of \d+: \w+, .*Modelled .*most of it/);
    const modelled = async () => (await said.textContent()).match(/modelled ([\d.]+ \S+),/)[1];
    const before = await modelled();
    await page.getByLabel("Modelled as").selectOption({ label: await page.locator("option").filter({ hasText: "4090" }).first().textContent() });
    await page.waitForFunction((before) => !document.querySelector("figure.step figcaption").textContent.includes(`modelled ${before},`), before);
    const measured = await said.textContent();
    assert.match(measured, /^Real /, "what was measured stays");
    await page.getByText("The same by kernel, as a table").click();
    assert.match(await page.locator("[aria-label='The step by kernel'] tbody").textContent(), /[a-z_]+\d+/);
    await page.locator(".gpus").getByText("Here, measured").waitFor();
    assert.deepEqual(await faultsOf(page, "Simulator measured"), []);
    // It was loaded for that alone: nothing is narrated, and the start screen is as it was.
    await page.getByRole("link", { name: "Narrate" }).click();
    await titled(page, "Hear what is on your screen");
    return measured;
  }));

test("everything is reached by keyboard", () =>
  withPage({ before: (page) => fakeScreen(page, ["000"]) }, async (page) => {
    const names = [];
    for (let i = 0; i < 11; i++) {
      await page.keyboard.press("Tab");
      names.push(await page.evaluate(() => (document.activeElement.innerText || document.activeElement.closest("label")?.innerText || "").trim()));
    }
    const expected = ["To the content", "QWGLM", "Narrate", "Models", "Pipeline", "Simulator"];
    assert.deepEqual(names.slice(0, expected.length), expected);
    for (const name of ["Share a screen", "Play the sample recording", "Open pictures"]) assert(names.includes(name), `${name} in ${names}`);
    await button(page, "Share a screen").focus();
    await page.keyboard.press("Enter");
    await titled(page, /Narrating your screen|Starting the engine|Bringing|Loading/);
    assert.equal(await page.evaluate(() => globalThis.fakeScreen.asked), 1);
  }));

test("axe finds nothing, light and dark, wide and narrow", () =>
  withPage({ before: denyScreen }, async (page) => {
    const faults = [];
    for (const [scheme, width] of [["light", 1280], ["dark", 1280], ["light", 390], ["dark", 390]]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height: 844 });
      for (const screen of ["Narrate", "Models", "Pipeline", "Simulator", "Settings", "About"]) {
        await page.getByRole("link", { name: screen, exact: true }).click();
        if (screen === "Simulator") await page.locator("figure.step figcaption").waitFor();
        faults.push(...(await faultsOf(page, `${screen} ${scheme} ${width}`)));
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (overflow > 0) faults.push(`${screen} ${width}: ${overflow} pixels too wide`);
      }
      await page.getByRole("link", { name: "Narrate", exact: true }).click();
      await button(page, "Share a screen").first().click();
      await titled(page, "Nothing was shared");
      faults.push(...(await faultsOf(page, `failure ${scheme} ${width}`)));
      await button(page, "Back to the start").click();
    }
    assert.deepEqual(faults, []);
  }));
