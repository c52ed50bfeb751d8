// Keeps the page's files, so that it opens without a network. Each build has its own list and its own cache.
const CACHE = "qwglm-BUILD";
const FILES = []; // filled in by the build

self.addEventListener("install", (event) => {
  // The page's own files at once; models come when they are first asked for.
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = caches.keys().then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))));
  event.waitUntil(old.then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  event.respondWith(answer(event));
});

async function answer({ request }) {
  const cache = await caches.open(CACHE);
  const isPage = request.mode === "navigate";
  // A new build is met at the page; everything else is named after its contents.
  const kept = await cache.match(request, { ignoreSearch: isPage });
  if (kept && !isPage) return kept;
  try {
    const fresh = await fetch(request);
    if (fresh.ok) cache.put(request, fresh.clone()).catch(() => { /* A full disk keeps nothing. */ });
    return fresh;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}
