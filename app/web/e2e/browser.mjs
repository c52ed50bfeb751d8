// A real Chromium with WebGPU in software, and the fakes: only what a person's hand and a screen would give.
import { chromium } from "playwright-core";
import { readFileSync, readdirSync } from "node:fs";

export const address = process.env.PAGE_ADDRESS;
const recording = process.env.RECORDING;
// How many times longer than usual to wait: for a machine that has much else to do.
export const patience = Number(process.env.PATIENCE ?? 1);

const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--use-angle=swiftshader"];

const how = (webgpu) => ({
  executablePath: process.env.CHROMIUM,
  args: [
    ...["--no-sandbox", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required"],
    ...(webgpu ? WEBGPU : ["--disable-features=WebGPU,WebGPUService", "--disable-gpu"]),
  ],
});
const VIEW = { viewport: { width: 1280, height: 800 }, serviceWorkers: "block" };

export const launch = ({ webgpu = true } = {}) => chromium.launch(how(webgpu));

// A browser with a disk, in that folder; its only context. A worker whose program was changed on its way counts as from afar, and
// could not ask stand-ins on loopback.
export const launchOn = (folder) => {
  const { executablePath, args } = how(true);
  return chromium.launchPersistentContext(folder, { executablePath, args: [...args, "--disable-features=LocalNetworkAccessChecks"], ...VIEW });
};

// A page with its console and its requests kept: `page.asked` has every address that it asked for.
// In a context of its own unless one is given.
export async function open(browser, { options = {}, context = null, before = async () => {}, path = "/" } = {}) {
  context ??= await browser.newContext({ ...VIEW, ...options });
  const page = await context.newPage();
  page.asked = [];
  page.said = [];
  context.on("request", (request) => page.asked.push(request.url()));
  page.on("console", (message) => page.said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => page.said.push(`exception: ${error}`));
  await before(page, context);
  await page.goto(`${address}${path}`);
  await page.getByRole("heading", { level: 1 }).waitFor({ timeout: 60_000 });
  return page;
}

// A page in a browser of its own, closed whatever happens.
export async function withPage(how, work) {
  const browser = await launch(how);
  try {
    return await work(await open(browser, how), browser);
  } finally {
    await browser.close();
  }
}

export const button = (page, name) => page.getByRole("button", { name });

export async function titled(page, title, timeout = 60_000) {
  await page.getByRole("heading", { level: 1, name: title }).waitFor({ timeout });
}

// The recording's frames as the page's screen: `getDisplayMedia` gives a canvas on which they are drawn, one after another when
// the test says so.
export async function fakeScreen(page, names) {
  const frames = names.map((name) => readFileSync(`${recording}/${name}.png`).toString("base64"));
  await page.addInitScript((frames) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [1024, 640];
    const context = canvas.getContext("2d");
    const draw = async (index) => {
      const bytes = Uint8Array.from(atob(frames[index]), (c) => c.charCodeAt(0));
      const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      context.drawImage(bitmap, 0, 0);
    };
    globalThis.fakeScreen = { draw, asked: 0 };
    navigator.mediaDevices.getDisplayMedia = async () => {
      globalThis.fakeScreen.asked++;
      const stream = canvas.captureStream(5);
      await draw(0);
      return stream;
    };
  }, frames);
}

// A person who says no.
export async function denyScreen(page) {
  await page.addInitScript(() => {
    navigator.mediaDevices.getDisplayMedia = async () => {
      throw new DOMException("Permission denied", "NotAllowedError");
    };
  });
}

// The worker's devices, so that a test can destroy one. The page's own code is not touched.
export async function holdDevices(page) {
  await page.route("**/hashed/worker-*.js", async (route) => {
    const answer = await route.fetch();
    const hook = `
      const original = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (...args) {
        const device = await original.apply(this, args);
        (self.devices ??= []).push(device);
        return device;
      };`;
    await route.fulfill({ response: answer, body: `${await answer.text()}\n${hook}` });
  });
}

export async function destroyDevice(page) {
  const [worker] = page.workers();
  return worker.evaluate(() => { self.devices.at(-1).destroy(); return self.devices.length; });
}

export const announced = (page) => page.locator("#announcements p").textContent();

// Waits until the live region says something that `matches`.
export async function heard(page, matches, timeout = 180_000 * patience) {
  const end = Date.now() + timeout;
  let last = "";
  while (Date.now() < end) {
    last = (await announced(page)) ?? "";
    if (last && matches(last)) return last;
    await page.waitForTimeout(100);
  }
  throw new Error(`nothing fitting was announced within ${timeout / 1000} s; last: "${last}"; console: ${page.said.slice(-5).join(" | ")}`);
}

export const truth = () => JSON.parse(readFileSync(`${recording}/truth.json`));
export const frameNames = () => readdirSync(recording).filter((name) => name.endsWith(".png")).map((name) => name.slice(0, -4)).sort();
