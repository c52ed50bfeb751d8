"""The packed file: 8- and 4-bit matrices in groups of 32, as `gpu/src/weights/quant.rs` and `pack.rs` lay them out.

python3 -m pocket_vl.pack FROM PLAN TO.safetensors      packs dense weights
`unpack(file)` gives dense f32 tensors back: where training starts from.
"""

import fnmatch, glob, json, os, sys, zlib

import torch
import torch.nn.functional as F

GROUP = 32
BUDGET = 10 * 2**20  # the model with all its texts


def rules(plan):
    """[(bits or None, pattern)] of a plan file."""
    with open(plan) as file:
        lines = [l.split("#")[0].split() for l in file]
    return [(None if l[0] == "keep" else int(l[0][1]), l[1]) for l in lines if l]


def bits_of(name, plan):
    """8, 4, or None to keep the tensor as it is: the first rule that matches."""
    return next((b for b, pattern in plan if fnmatch.fnmatchcase(name, pattern)), None)


def grouped(w):
    """[rows, …] -> [rows, groups, 32], zeros at the end."""
    w = w.reshape(w.shape[0], -1)
    return F.pad(w, (0, -w.shape[1] % GROUP)).view(w.shape[0], -1, GROUP)


def ungrouped(g, like):
    return g.reshape(g.shape[0], -1)[:, : like[0].numel()].reshape(like.shape)


def codes(g, s, low, high):
    """The nearest multiples of the scales, ties to even."""
    return (g / torch.where(s == 0, 1.0, s)).round().clamp(low, high)


def rounded(g, s, low, high):
    return codes(g, s, low, high) * s


def scale8(g):
    return (g.abs().amax(-1, keepdim=True) / 127).half().float()


def scale4(g):
    """The scale of least squared error, over where the largest magnitude may lie, on either side."""
    top = g.gather(-1, g.abs().argmax(-1, keepdim=True))
    best = scale = None
    for steps in [8.0] + torch.arange(5.5, 9.6, 0.1).tolist():
        for s in ((top / -steps).half().float(), (top / steps).half().float()):
            error = (rounded(g, s, -8, 7) - g).square().sum(-1, keepdim=True)
            better = error < best if best is not None else torch.ones_like(error, dtype=torch.bool)
            best = torch.where(better, error, best) if best is not None else error
            scale = torch.where(better, s, scale) if scale is not None else s
    return scale


def words_of(q, bits):
    """Codes [rows, k] as unsigned words, the first in the lowest bits."""
    per = 32 // bits
    q = (q.long() & ((1 << bits) - 1)).view(q.shape[0], -1, per)
    word = (q << (torch.arange(per) * bits)).sum(-1)
    return torch.where(word >= 2**31, word - 2**32, word).to(torch.int32).view(torch.uint32)


def pack(state, plan, scales=None):
    """Dense tensors -> (tensors, metadata) of the packed file. `scales`: of 4-bit matrices that were rounded with them."""
    out, meta = {}, {"format": "pt"}
    for name, w in sorted(state.items()):
        bits = bits_of(name, plan) if w.dim() > 1 else None
        if bits is None:
            out[name] = w.to(torch.bfloat16).contiguous()
            continue
        w = w.float()
        g = grouped(w)
        known = (scales or {}).get(name) if bits == 4 else None
        s = known if known is not None else scale8(g) if bits == 8 else scale4(g)
        s = torch.where(s == 0, torch.zeros_like(s), s)
        q = codes(g, s, -127, 127) if bits == 8 else codes(g, s, -8, 7) + 8
        out[name + "_packed"] = words_of(q.reshape(q.shape[0], -1), bits)
        out[name + "_scale"] = s[..., 0].half().contiguous()
        meta["packed:" + name] = f"q{bits} {w[0].numel()}"
    return out, meta


def read(path):
    """(tensors, metadata) of a file, which may be compressed (`.zz`)."""
    from safetensors.torch import load

    with open(path, "rb") as file:
        data = file.read()
    if path.endswith(".zz"):
        data = zlib.decompress(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return load(data), header.get("__metadata__", {})


def unpack(path):
    """The packed file's tensors, dense, f32; matrices as [rows, k]."""
    tensors, meta = read(path)
    out = {}
    for name, t in tensors.items():
        if name.endswith("_scale"):
            continue
        if not name.endswith("_packed"):
            out[name] = t.float()
            continue
        base = name.removesuffix("_packed")
        bits, k = int(meta["packed:" + base].split()[0][1]), int(meta["packed:" + base].split()[1])
        word = t.view(torch.int32).long() & 0xFFFFFFFF
        q = (word[..., None] >> (torch.arange(32 // bits) * bits)) & ((1 << bits) - 1)
        q = q.reshape(t.shape[0], -1, GROUP)
        q = q - 8 if bits == 4 else torch.where(q > 127, q - 256, q)
        out[base] = (q.float() * tensors[base + "_scale"].float()[..., None]).reshape(t.shape[0], -1)[:, :k]
    return out


def load(model, folder):
    """Weights of a folder into `model`: a packed `model.safetensors`, perhaps compressed, or dense files."""
    state, own = {}, model.state_dict()
    found = lambda pattern: sorted(glob.glob(os.path.join(folder, pattern)))
    for f in found("model*.safetensors") or found("model.safetensors.zz"):
        part, _ = read(f)
        state.update(unpack(f) if any(n.endswith("_packed") for n in part) else part)
    model.load_state_dict({k: v.float().reshape(own[k].shape) for k, v in state.items()})


def save(model, folder, limit=15 << 20):
    """bf16 safetensors, no file above `limit` bytes, with an index when there are several; whole or not at all."""
    from safetensors.torch import save_file

    os.makedirs(folder, exist_ok=True)
    shards, size = [{}], 0
    for n, p in model.state_dict().items():
        b = p.numel() * 2
        if size + b > limit and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][n] = p.detach().to(torch.bfloat16).cpu().contiguous()
        size += b
    names = (
        ["model.safetensors"]
        if len(shards) == 1
        else [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    )
    for name, shard in zip(names, shards):
        save_file(shard, os.path.join(folder, name + ".part"), metadata={"format": "pt"})
    for name in names:
        os.replace(os.path.join(folder, name + ".part"), os.path.join(folder, name))
    if len(shards) > 1:
        with open(os.path.join(folder, "model.safetensors.index.json"), "w") as out:
            json.dump(dict(metadata={}, weight_map={n: name for name, s in zip(names, shards) for n in s}), out)


def write(state, plan, path, scales=None):
    """Packs `state` by the plan's rules into `path`; returns its size in bytes."""
    from safetensors.torch import save_file

    tensors, meta = pack(state, plan, scales)
    save_file(tensors, path, metadata=meta)
    return os.path.getsize(path)


def main():
    from safetensors.torch import load_file

    folder, plan, to = sys.argv[1:4]
    state = {}
    for f in sorted(glob.glob(os.path.join(folder, "model*.safetensors"))):
        state.update(load_file(f))
    size = write(state, rules(plan), to)
    texts = sum(
        os.path.getsize(os.path.join(os.path.dirname(os.path.abspath(plan)), n))
        for n in ("config.json", "tokenizer.json", "tokenizer_config.json")
    )
    print(f"{to}: {size} bytes, with its texts {size + texts} of {BUDGET}")
    sys.exit(size + texts > BUDGET)


if __name__ == "__main__":
    main()
