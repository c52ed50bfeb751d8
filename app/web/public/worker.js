// The engine's worker: loads the program and hands messages on. Pictures are made pixels here, where the page does not wait.
import init, * as engine from "./engine.js";

const post = (text) => self.postMessage(text);
const sound = (samples, rate, turn) => self.postMessage({ samples, rate, turn }, [samples.buffer]);
const ready = init({ module_or_path: new URL("./engine_bg.wasm", import.meta.url) });
ready.then(
  () => engine.wake(post, sound, new URL("./assets.json", import.meta.url).href),
  (error) => post(JSON.stringify({ to: "failed", kind: "other", message: `the engine's program does not start: ${error}` })),
);

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true });

function pixels(frame) {
  const width = frame.displayWidth ?? frame.width;
  const height = frame.displayHeight ?? frame.height;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  context.drawImage(frame, 0, 0, width, height);
  frame.close();
  engine.shot(width, height, new Uint8Array(context.getImageData(0, 0, width, height).data.buffer));
}

async function bench(request) {
  try {
    const result = await engine.bench(JSON.stringify(request), (line) => self.postMessage({ line }));
    self.postMessage({ result: JSON.parse(result) });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
}

self.onmessage = async ({ data }) => {
  await ready;
  if (typeof data === "string") engine.receive(data);
  else if (data.shot) pixels(data.shot);
  else if (data.bytes) engine.picture(data.name, new Uint8Array(data.bytes), data.first);
  else if (data.bench) bench(data.bench);
};
