// Files of models that came from a hub, in the browser's own file system: a folder a model. For a worker alone.
const open = new Map(); // by "FOLDER/FILE", a promise of what reads and writes
let waits = 20; // in all, for a tab that was just closed to let go of its files; another that is there never does
const WAIT_MS = 200;

async function models() {
  return (await navigator.storage.getDirectory()).getDirectoryHandle("models", { create: true });
}

function opened(folder, file) {
  const key = `${folder}/${file}`;
  const start = async () => {
    const place = await (await models()).getDirectoryHandle(folder, { create: true });
    const there = await place.getFileHandle(file, { create: true });
    for (;;) {
      try {
        return await there.createSyncAccessHandle();
      } catch (error) {
        if (error.name !== "NoModificationAllowedError" || waits-- <= 0) throw error;
        await new Promise((go) => setTimeout(go, WAIT_MS));
      }
    }
  };
  if (!open.has(key)) {
    // A file that another tab has open may be free the next time.
    open.set(key, start().catch((error) => { open.delete(key); throw error; }));
  }
  return open.get(key);
}

export const store = {
  async read(folder, file, offset, length) {
    const handle = await opened(folder, file);
    const bytes = new Uint8Array(Math.max(0, Math.min(length, handle.getSize() - offset)));
    return bytes.subarray(0, handle.read(bytes, { at: offset }));
  },

  async write(folder, file, offset, bytes) {
    const handle = await opened(folder, file);
    if (handle.write(bytes, { at: offset }) < bytes.length) throw new DOMException("the disk is full", "QuotaExceededError");
    handle.flush();
  },

  async clear(folder) {
    for (const [key, handle] of open) {
      if (!key.startsWith(`${folder}/`)) continue;
      open.delete(key);
      (await handle).close();
    }
    const all = await models();
    await all.removeEntry(folder, { recursive: true }).catch((error) => {
      if (error.name !== "NotFoundError") throw error;
    });
  },
};
