// Stand-ins on loopback for a hub, a mirror of it, and the store on another origin to which both send on; and checkpoints for them.
import { createServer } from "node:http";
import { closeSync, createReadStream, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { inflateSync } from "node:zlib";

export const id = "owner/model";
const SHA = "0123456789abcdef0123456789abcdef01234567";
const TEXTS = ["generation_config.json", "preprocessor_config.json", "video_preprocessor_config.json", "tokenizer_config.json", "chat_template.jinja", "tokenizer.json"];
const CORS = { "access-control-allow-origin": "*" };
const ports = (process.env.HUB_PORTS ?? "").split(" ").map(Number);
export const origins = ports.map((port) => `http://127.0.0.1:${port}`);

// Serves a folder until it is closed. `answer(place, file, number)` may change what a request gets, with `place` hub, mirror or
// store: a status; "cut", in the middle; a promise, until which it waits. `served` has what the store gave.
export class Hub {
  served = [];
  answer = () => null;

  constructor(folder) {
    this.folder = folder;
    this.servers = ["hub", "mirror", "store"].map((place) => createServer((request, response) => this.handle(place, request, response)));
  }

  async open() {
    await Promise.all(this.servers.map((server, i) => new Promise((go, fail) => server.on("error", fail).listen(ports[i], "127.0.0.1", go))));
    return this;
  }

  async close() {
    await Promise.all(this.servers.map((server) => new Promise((go) => { server.close(go); server.closeAllConnections(); })));
  }

  async handle(place, request, response) {
    const { pathname } = new URL(request.url, "http://hub");
    const file = pathname.split("/").at(-1);
    const wish = await this.answer(place, file, this.served.length);
    const refuse = (status) => response.writeHead(status, CORS).end();
    if (typeof wish === "number") return refuse(wish);
    if (pathname === `/api/models/${id}/revision/main` && place !== "store") {
      const siblings = readdirSync(this.folder).map((name) => ({ rfilename: name, size: statSync(`${this.folder}/${name}`).size }));
      return response.writeHead(200, { ...CORS, "content-type": "application/json" }).end(JSON.stringify({ sha: SHA, siblings }));
    }
    const path = `${this.folder}/${file}`;
    if (!existsSync(path)) return refuse(404);
    if (place !== "store") {
      const isHere = pathname === `/${id}/resolve/${SHA}/${file}`;
      return isHere ? response.writeHead(302, { ...CORS, location: `${origins[2]}/blob/${file}` }).end() : refuse(404);
    }
    const size = statSync(path).size;
    const [, first, last] = request.headers.range?.match(/^bytes=(\d+)-(\d+)$/) ?? [null, 0, size - 1];
    const [start, end] = [Number(first), Number(last)];
    if (end >= size) return refuse(416);
    this.served.push({ file, start, end });
    const length = end - start + 1;
    const range = request.headers.range ? { "content-range": `bytes ${start}-${end}/${size}` } : {};
    response.writeHead(request.headers.range ? 206 : 200, { ...CORS, ...range, "content-length": length });
    if (wish === "cut") return response.write(readFileSync(path).subarray(start, start + (length >> 1)), () => response.destroy());
    createReadStream(path, { start, end }).pipe(response);
  }
}

function floatOfHalf(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : (2 ** -14 * fraction) / 1024);
}

// The packed tensors of the pocket model as bf16 matrices, others as they are: by name, shape and bytes.
function unpacked() {
  const file = inflateSync(readFileSync(`${process.env.POCKET}/model.safetensors.zz`));
  const at = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, at));
  const bytes = (name) => file.subarray(at + header[name].data_offsets[0], at + header[name].data_offsets[1]);
  const tensors = new Map();
  for (const name of Object.keys(header).filter((name) => name !== "__metadata__" && !/_(packed|scale)$/.test(name))) {
    tensors.set(name, { dtype: header[name].dtype, shape: header[name].shape, bytes: bytes(name) });
  }
  for (const [key, packing] of Object.entries(header.__metadata__)) {
    if (!key.startsWith("packed:")) continue;
    const name = key.slice("packed:".length);
    const [format, k] = [packing.split(" ")[0], Number(packing.split(" ")[1])];
    const [words, scales] = [bytes(`${name}_packed`), bytes(`${name}_scale`)];
    const n = header[`${name}_packed`].shape[0];
    const padded = Math.ceil(k / 32) * 32;
    const values = Buffer.alloc(n * k * 2);
    const real = new DataView(new ArrayBuffer(4));
    for (let row = 0; row < n; row++) {
      for (let column = 0; column < k; column++) {
        const index = row * padded + column;
        const code = format === "q4" ? ((words[index >> 1] >> ((index & 1) * 4)) & 15) - 8 : words.readInt8(index);
        real.setFloat32(0, code * floatOfHalf(scales.readUInt16LE((index >> 5) * 2)));
        values.writeUInt16LE((real.getUint32(0) + 0x8000) >>> 16, (row * k + column) * 2);
      }
    }
    tensors.set(name, { dtype: "BF16", shape: [n, k], bytes: values });
  }
  return tensors;
}

// Writes one shard; rows that a shape has beyond its bytes are zeros that take no room on the disk.
function shard(path, tensors) {
  const header = {};
  let at = 0;
  for (const [name, { dtype, shape }] of tensors) {
    const size = shape.reduce((n, extent) => n * extent, dtype === "F32" ? 4 : 2);
    header[name] = { dtype, shape, data_offsets: [at, (at += size)] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const file = openSync(path, "w");
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  writeSync(file, prefix);
  writeSync(file, json);
  const data = 8 + json.length;
  for (const [name, { bytes }] of tensors) writeSync(file, bytes, 0, bytes.length, data + header[name].data_offsets[0]);
  ftruncateSync(file, data + at);
  closeSync(file);
}

// The pocket model as a hub would have it: bf16, in three shards. With `rows` its vocabulary has so many, all but the first of them
// zeros that no answer has, in two tables, one of them f32: as large as wanted, with the same words.
export function checkpoint(name, rows = null) {
  const folder = `${process.env.HUB_FOLDER}/${name}`;
  if (existsSync(`${folder}/model.safetensors.index.json`)) return folder;
  mkdirSync(folder, { recursive: true });
  for (const text of TEXTS) writeFileSync(`${folder}/${text}`, readFileSync(`${process.env.POCKET}/${text}`));
  const config = JSON.parse(readFileSync(`${process.env.POCKET}/config.json`));
  const tensors = unpacked();
  const table = "model.language_model.embed_tokens.weight";
  const shards = [[], [], []];
  if (rows) {
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = false;
    config.text_config.vocab_size = rows;
    const { bytes, shape } = tensors.get(table);
    tensors.delete(table);
    const wide = Buffer.alloc(bytes.length * 2);
    for (let at = 0; at < bytes.length; at += 2) bytes.copy(wide, at * 2 + 2, at, at + 2);
    shards[1].push([table, { dtype: "BF16", shape: [rows, shape[1]], bytes }]);
    shards[2].push(["lm_head.weight", { dtype: "F32", shape: [rows, shape[1]], bytes: wide }]);
    shards[0].push(...tensors);
  } else {
    [...tensors].sort(([a], [b]) => (a < b ? -1 : 1)).forEach((entry, i) => shards[Math.floor((i * 3) / tensors.size)].push(entry));
  }
  writeFileSync(`${folder}/config.json`, JSON.stringify(config));
  const names = shards.map((_, i) => `model-0000${i + 1}-of-00003.safetensors`);
  shards.forEach((entries, i) => shard(`${folder}/${names[i]}`, entries));
  const map = shards.flatMap((entries, i) => entries.map(([tensor]) => [tensor, names[i]]));
  // Last: what is there is whole.
  writeFileSync(`${folder}/model.safetensors.index.json`, JSON.stringify({ weight_map: Object.fromEntries(map) }));
  return folder;
}
