#!/usr/bin/env python3
"""Prepares pocket-vl's weights for packing: trains them so that the packed model says what the dense one says.

python3 distil.py --assets assets --model DIR --plan pack.plan --out OUT --seconds 300

The student's matrices are rounded in every forward pass as `pack.plan` says (8-bit: absmax; 4-bit: scales fitted once, then
fixed), the gradient goes straight through. It learns the dense model's distribution over the next token and its picture
features, on screens that `render.py` draws (`prepare.sh` gathers what it draws with). 4-bit matrices are written as the
values they are rounded to, so packing OUT reproduces them exactly. Needs a CUDA machine, torch 2.11.
"""

import argparse, fnmatch, json, math, os, random, shutil, time

import torch
import torch.nn as nn
import torch.nn.functional as F
import render, train

GROUP = 32
MIX = dict(word=1, line=2, block=2, part=2, window=3, wide=2, svga=2, xga=2, hd=3, video=2, video_hd=1)


def formats(plan, names):
    """Name -> 4 or 8, the first rule that matches; as gpu's `weights::pack::Plan`."""
    rules = [line.split("#")[0].split() for line in open(plan)]
    return {n: next((int(r[0][1]) for r in rules if r and r[0] != "keep" and fnmatch.fnmatchcase(n, r[1])), None) for n in names}


def grouped(w):
    w = w.reshape(w.shape[0], -1)
    return F.pad(w, (0, -w.shape[1] % GROUP)).view(w.shape[0], -1, GROUP)


def ungrouped(g, like):
    return g.reshape(g.shape[0], -1)[:, : like[0].numel()].reshape(like.shape)


def rounded(g, s, low, high):
    return (g / torch.where(s == 0, 1.0, s)).round().clamp(low, high) * s


def scale8(g):
    return (g.abs().amax(-1, keepdim=True) / 127).half().float()


def scale4(g):
    """Least squared error over where the largest magnitude may lie, on either side."""
    top = g.gather(-1, g.abs().argmax(-1, keepdim=True))
    best = scale = None
    for steps in torch.arange(5.5, 9.6, 0.1).tolist():
        for s in ((top / -steps).half().float(), (top / steps).half().float()):
            error = (rounded(g, s, -8, 7) - g).square().sum(-1, keepdim=True)
            better = error < best if best is not None else torch.ones_like(error, dtype=torch.bool)
            best = torch.where(better, error, best) if best is not None else error
            scale = torch.where(better, s, scale) if scale is not None else s
    return scale


class Parts(nn.Module):
    """The model, giving what the student must match."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, frames, tokens, labels, pos, img_pos, H, W, tables):
        image, deep = self.model.model["visual"](frames, H, W, tables)
        text = self.model.model["language_model"]
        n = img_pos.shape[0]
        x = text(tokens, pos, img_pos, image, deep)[:, n:-1]
        return [image, *deep], F.linear(x[labels[:, n + 1 :] >= 0], text.embed_tokens.weight)


class Batches(torch.utils.data.IterableDataset):
    def __init__(self, assets, model, scale):
        self.args = assets, model, scale

    def __iter__(self):
        from tokenizers import Tokenizer

        assets, model, scale = self.args
        worker = torch.utils.data.get_worker_info()
        render.load_assets(assets)
        tok = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
        r = random.Random(5000 + worker.id)
        while True:
            yield train.make_batch(r, tok, r.choices(list(MIX), MIX.values())[0], scale)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--assets", default="assets")
    p.add_argument("--model", required=True)
    p.add_argument("--plan", default="pack.plan")
    p.add_argument("--out", required=True)
    p.add_argument("--seconds", type=float, default=300)
    p.add_argument("--lr", type=float, default=4e-5)
    p.add_argument("--scale", type=float, default=0.25, help="share of train.py's batch sizes")
    p.add_argument("--workers", type=int, default=14)
    a = p.parse_args()
    render.load_assets(a.assets)
    loader = iter(
        torch.utils.data.DataLoader(
            Batches(a.assets, a.model, a.scale), batch_size=None, num_workers=a.workers, prefetch_factor=4, multiprocessing_context="fork"
        )
    )
    device = torch.device("cuda")
    torch.backends.cuda.matmul.allow_tf32 = True
    config = json.load(open(os.path.join(a.model, "config.json")))

    def dense():
        model = train.PocketVL(config).float()
        train.load(model, a.model)
        return Parts(model).to(device)

    teacher, student = dense().eval().requires_grad_(False), dense()
    params = dict(student.named_parameters())
    plan = formats(a.plan, [n.removeprefix("model.") for n in params])
    bits = {n: plan[n.removeprefix("model.")] for n, p in params.items() if p.dim() > 1}
    with torch.no_grad():
        fixed = {n: scale4(grouped(params[n])) for n, b in bits.items() if b == 4}

    def packed(n, w):
        g = grouped(w)
        q = rounded(g, fixed[n], -8, 7) if bits[n] == 4 else rounded(g, scale8(g), -127, 127)
        return ungrouped(q, w)

    def effective():
        out = dict(params)
        for n, b in bits.items():
            if b:
                out[n] = params[n] + (packed(n, params[n]) - params[n]).detach()
        return out

    opt = torch.optim.AdamW(params.values(), lr=a.lr, betas=(0.9, 0.98), weight_decay=0)
    tables, t0, step, seen = {}, time.time(), 0, [0.0, 0.0, 0]
    while (done := (time.time() - t0) / a.seconds) < 1:
        for group in opt.param_groups:
            group["lr"] = a.lr * min(1, (step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        bucket, *tensors = next(loader)
        _, _, W, H, _, _ = train.layout(bucket)
        if (H, W) not in tables:
            tables[H, W] = student.model.model["visual"].tables(H, W, device)
        inputs = [t.to(device, non_blocking=True) for t in tensors] + [H, W, tables[H, W]]
        with torch.no_grad():
            features, logits = teacher(*inputs)
        own_features, own_logits = torch.func.functional_call(student, effective(), tuple(inputs))
        kl = F.kl_div(F.log_softmax(own_logits, -1), F.log_softmax(logits, -1), log_target=True, reduction="batchmean")
        off = sum((o - f).square().mean() / f.square().mean() for o, f in zip(own_features, features))
        opt.zero_grad(set_to_none=True)
        (kl + 0.5 * off / len(features)).backward()
        torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        opt.step()
        step += 1
        if step % 10 == 0:
            seen = [seen[0] + kl.item(), seen[1] + off.item(), seen[2] + 1]
        if step % 500 == 0:
            print(f"step {step}, {time.time() - t0:.0f} s: KL {seen[0] / seen[2]:.5f}, features {seen[1] / seen[2]:.5f}", flush=True)
            seen = [0.0, 0.0, 0]

    from safetensors.torch import save_file

    state = {}
    for n, w in params.items():
        w = packed(n, w.data) if bits.get(n) == 4 else w.data
        name = n.removeprefix("model.")
        state[name] = (w if w.dim() > 1 else w.bfloat16()).contiguous().cpu()
    os.makedirs(a.out, exist_ok=True)
    shards, room = [], 0
    for name, w in state.items():
        size = w.numel() * w.element_size()
        if size > room:
            shards.append({})
            room = 14 << 20
        shards[-1][name] = w
        room -= size
    where = {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        save_file(shard, os.path.join(a.out, file), {"format": "pt"})
        where.update({name: file for name in shard})
    json.dump({"metadata": {}, "weight_map": where}, open(os.path.join(a.out, "model.safetensors.index.json"), "w"), indent=1)
    for file in os.listdir(a.model):
        if file.endswith((".json", ".jinja")) and "index" not in file:
            shutil.copy(os.path.join(a.model, file), a.out)
    print(f"{step} steps in {time.time() - t0:.0f} s")


if __name__ == "__main__":
    main()
