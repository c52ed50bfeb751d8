// The engine's worker: loads the program and hands messages on. Pictures are made pixels here, where the page does not wait.
import init, * as engine from "./engine.js";
import { store } from "./store.js";

const bridges = new Map(); // to the other parts of the next run, by their places
let loudspeaker = null;

// What the program may do outside of itself.
const outside = {
  ...store,
  post: (text) => self.postMessage(text),
  // Takes up the bridges for a run, whose number comes with what arrives; gives how it sends. What came before waits at them.
  open: (run) => {
    const ports = new Map(bridges);
    bridges.clear();
    ports.forEach((port) => (port.onmessage = ({ data }) => engine.crossed(run, data.link, data.bytes)));
    return (place, link, bytes) => ports.get(place)?.postMessage({ link, bytes }, [bytes.buffer]);
  },
  push: (id, push) => loudspeaker?.postMessage({ id, push }, [push.buffer]),
  cut: (id) => loudspeaker?.postMessage({ id, cut: true }),
  hold: (id, hold) => loudspeaker?.postMessage({ id, hold }),
};
const ready = init({ module_or_path: new URL("./engine_bg.wasm", import.meta.url) });
ready.then(
  () => engine.wake(outside, new URL("./assets.json", import.meta.url).href),
  (error) => outside.post(JSON.stringify({ to: "failed", kind: "other", message: `the engine's program does not start: ${error}` })),
);

// The microphone's pieces; each is answered, so that those under way are few.
function hear(port, rate) {
  engine.microphone(rate);
  port.onmessage = ({ data }) => {
    engine.heard(data.frame, data.lost, data.samples);
    port.postMessage(1);
  };
}

function speak(port, rate) {
  loudspeaker = port;
  engine.loudspeaker(rate);
  port.onmessage = ({ data }) => engine.played(data.done, data.frame, data.n);
}

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
  else if (data.microphone) hear(data.microphone, data.rate);
  else if (data.loudspeaker) speak(data.loudspeaker, data.rate);
  else if (data.bridge) bridges.set(data.place, data.bridge);
  else if (data.bytes) engine.picture(data.name, new Uint8Array(data.bytes), data.first);
  else if (data.bench) bench(data.bench);
};
