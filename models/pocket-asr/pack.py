"""Packs trained weights for the tree: 4- and 8-bit matrices (`quant.py` says which), the rest bf16, in the layout of
`gpu/src/weights/pack.rs`, with what else a model needs.

    pack.py TRAINED/model.safetensors TOKENIZER.json OUT_DIR
"""
import argparse
import json
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from quant import bits_of, grouped, packed
from safetensors import safe_open
from safetensors.torch import load_file


def words(codes, bits):
    """U32 words of codes [n, groups, 32], the first in the lowest bits."""
    per_word = 32 // bits
    raw = codes.to(torch.int64).flatten(1).reshape(len(codes), -1, per_word) + (8 if bits == 4 else 0)
    raw = raw.numpy().astype(np.uint64) & ((1 << bits) - 1)
    return (raw << (np.arange(per_word, dtype=np.uint64) * bits)).sum(2).astype("<u4")


def unpacked(path):
    """The tensors of a packed file, dense: what an engine computes with."""
    with safe_open(path, "pt") as file:
        notes, dense = file.metadata(), {}
        for name in file.keys():
            if name.endswith("_scale"):
                continue
            if not name.endswith("_packed"):
                dense[name] = file.get_tensor(name).float()
                continue
            base = name.removesuffix("_packed")
            kind, k = notes["packed:" + base].split()
            bits = int(kind[1:])
            raw = file.get_tensor(name).view(torch.int32).numpy().view("<u4").astype(np.int64)
            codes = (raw[..., None] >> (np.arange(32 // bits) * bits)) & ((1 << bits) - 1)
            codes = torch.from_numpy(codes.reshape(len(raw), -1))
            codes = codes - 8 if bits == 4 else torch.where(codes > 127, codes - 256, codes)
            scale = file.get_tensor(base + "_scale").float().repeat_interleave(32, 1)
            dense[base] = (codes * scale)[:, :int(k)].float()
    return dense


def weights(path):
    """The tensors of `path`, dense: a file of training, a packed one, or a packed one as it lies in the tree (`.zz`)."""
    path = Path(path)
    if path.suffix == ".zz":
        inflated = Path(tempfile.mkdtemp()) / path.stem
        inflated.write_bytes(zlib.decompress(path.read_bytes()))
        path = inflated
    with safe_open(path, "pt") as file:
        is_packed = any(name.endswith("_packed") for name in file.keys())
    return unpacked(path) if is_packed else {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}


def load(model, path):
    """Lays the weights of `path` into `model`; the names that it has not (a packed file has no CTC head)."""
    shapes = {k: v.shape for k, v in model.state_dict().items()}
    state = {k: v.reshape(shapes[k]) for k, v in weights(path).items() if k in shapes}
    return [k for k in model.load_state_dict(state, strict=False).missing_keys if "num_batches" not in k]


def pack(state):
    """(header entries, metadata) of what goes into the file: name -> (type, shape, bytes)."""
    entries, notes = {}, {"format": "pt"}
    for name, tensor in sorted(state.items()):
        bits = bits_of(name, tensor)
        if not bits:
            values = tensor.to(torch.bfloat16).contiguous()
            entries[name] = ("BF16", list(tensor.shape), values.view(torch.int16).numpy().tobytes())
            continue
        codes, scale = packed(tensor, bits)
        rows = words(codes, bits)
        entries[name + "_packed"] = ("U32", list(rows.shape), rows.tobytes())
        entries[name + "_scale"] = ("F16", [len(rows), grouped(tensor).shape[1]], scale[..., 0].to(torch.float16).numpy().tobytes())
        notes["packed:" + name] = f"q{bits} {tensor[0].numel()}"
    return entries, notes


def write(entries, notes, path):
    order = sorted(entries, key=lambda n: {"U32": 0, "F16": 1, "BF16": 2}[entries[n][0]])
    header, at = {"__metadata__": notes}, 0
    for name in order:
        kind, shape, data = entries[name]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(entries[name][2] for name in order))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    state = {k: v for k, v in weights(args.model).items() if not k.startswith("ctc.") and "num_batches" not in k}
    args.out.mkdir(parents=True, exist_ok=True)
    write(*pack(state), args.out / "model.safetensors")
    config = json.loads(args.model.with_name("config.json").read_text())
    (args.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    tokenizer = json.loads(args.tokenizer.read_text())
    (args.out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")) + "\n")
    total = sum(f.stat().st_size for f in args.out.iterdir() if f.suffix in (".json", ".safetensors"))
    print(f"{total} bytes, {total / 2**20:.2f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
