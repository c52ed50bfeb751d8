// The engine's worker: loads the program and runs what the page asks for.
import init, { bench } from "./app_web.js";

const ready = init();
self.onmessage = async ({ data }) => {
  try {
    await ready;
    const result = await bench(JSON.stringify(data), (line) => self.postMessage({ line }));
    self.postMessage({ result: JSON.parse(result) });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
};
