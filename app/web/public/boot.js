// Starts the page's program, and the service worker that keeps the page for when there is no network.
import "./platform.js";
import init from "./page.js";

try {
  await init({ module_or_path: new URL("./page_bg.wasm", import.meta.url) });
  document.getElementById("opening")?.remove();
  performance.mark("interactive");
} catch (error) {
  const opening = document.getElementById("opening");
  opening.setAttribute("role", "alert");
  opening.lastElementChild.textContent =
    `This page cannot start here: ${error.message ?? error}. It needs a browser with WebAssembly; Chrome, Edge or a recent Safari has all of it.`;
}
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("./sw.js").catch(() => { /* Then there is no page without a network. */ });
}
