"""Prepares weights for packing: trains them rounded, so that the packed model says what the dense one says.

python3 -m pocket_vl.qat --assets assets --packs packs --init DENSE --out OUT --seconds 240

The matrices are rounded in every forward pass as `pack.plan` says (8-bit: absmax; 4-bit: scales fitted once, then
fixed), the gradient goes straight through. It learns the dense model's distribution over the next token and its picture
features, and the answers themselves. Every `--save-s` seconds `OUT/model.safetensors` is written, packed.
"""

import argparse, json, math, os, random, time

import torch
import torch.nn as nn
import torch.nn.functional as F

from . import packs
from .batches import MIXES, layout, make_batch
from .model import PocketVL
from .pack import bits_of, grouped, load, rounded, rules, scale4, scale8, ungrouped, write
from .render import face

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


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
    def __init__(self, model, seed, scale):
        self.args = model, seed, scale

    def __iter__(self):
        from tokenizers import Tokenizer

        model, seed, scale = self.args
        worker = torch.utils.data.get_worker_info()
        tok = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
        r, memory, mix = random.Random(5000 + seed * 100 + (worker.id if worker else 0)), {}, MIXES["screens"]
        while True:
            yield make_batch(r, tok, r.choices(list(mix), mix.values())[0], scale, memory=memory)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--assets", default="assets")
    p.add_argument("--packs")
    p.add_argument("--model", default=HERE)
    p.add_argument("--init", required=True)
    p.add_argument("--plan", default=os.path.join(HERE, "pack.plan"))
    p.add_argument("--out", required=True)
    p.add_argument("--seconds", type=float, default=240)
    p.add_argument("--steps", type=int, default=0)
    p.add_argument("--lr", type=float, default=5e-5)
    p.add_argument("--answers", type=float, default=0.3, help="weight of the answers beside the dense model's distribution")
    p.add_argument("--scale", type=float, default=0.25, help="share of train's batch sizes")
    p.add_argument("--workers", type=int, default=15)
    p.add_argument("--save-s", type=float, default=60)
    p.add_argument("--seed", type=int, default=9)
    p.add_argument("--device", default="cuda")
    a = p.parse_args()
    face.load_assets(a.assets)
    packs.load_packs(a.packs)
    os.makedirs(a.out, exist_ok=True)
    device = torch.device(a.device)
    torch.backends.cuda.matmul.allow_tf32 = True
    loader = iter(
        torch.utils.data.DataLoader(
            Batches(a.model, a.seed, a.scale),
            batch_size=None,
            num_workers=a.workers,
            prefetch_factor=4 if a.workers else None,
            multiprocessing_context="fork" if a.workers else None,
        )
    )
    with open(os.path.join(a.model, "config.json")) as file:
        config = json.load(file)

    def dense():
        model = PocketVL(config).float()
        load(model, a.init)
        return Parts(model).to(device)

    teacher, student = dense().eval().requires_grad_(False), dense()
    params, plan = dict(student.named_parameters()), rules(a.plan)
    bits = {n: bits_of(n.removeprefix("model."), plan) for n, w in params.items() if w.dim() > 1}
    with torch.no_grad():
        fixed = {n: scale4(grouped(params[n])) for n, b in bits.items() if b == 4}

    def packed(n, w):
        g = grouped(w)
        return ungrouped(rounded(g, fixed[n], -8, 7) if bits[n] == 4 else rounded(g, scale8(g), -127, 127), w)

    def effective():
        out = dict(params)
        for n, b in bits.items():
            if b:
                out[n] = params[n] + (packed(n, params[n]) - params[n]).detach()
        return out

    def save():
        with torch.no_grad():
            state = {
                n.removeprefix("model."): (packed(n, w) if bits.get(n) == 4 else w).detach().cpu() for n, w in params.items()
            }
        scales = {n.removeprefix("model."): s.cpu() for n, s in fixed.items()}
        size = write(state, plan, os.path.join(a.out, "model.safetensors.part"), scales)
        os.replace(os.path.join(a.out, "model.safetensors.part"), os.path.join(a.out, "model.safetensors"))
        return size

    opt = torch.optim.AdamW(params.values(), lr=a.lr, betas=(0.9, 0.98), weight_decay=0)
    tables, t0, step, seen, last = {}, time.time(), 0, [], time.time()
    while (done := step / a.steps if a.steps else (time.time() - t0) / a.seconds) < 1:
        for group in opt.param_groups:
            group["lr"] = a.lr * min(1, (step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        bucket, *tensors = next(loader)
        _, _, W, H, _, _ = layout(bucket)
        if (H, W) not in tables:
            tables[H, W] = student.model.model["visual"].tables(H, W, device)
        inputs = [t.to(device, non_blocking=True) for t in tensors] + [H, W, tables[H, W]]
        with torch.no_grad():
            features, logits = teacher(*inputs)
        own_features, own_logits = torch.func.functional_call(student, effective(), tuple(inputs))
        labels, n = inputs[2], inputs[4].shape[0]
        truth = labels[:, n + 1 :][labels[:, n + 1 :] >= 0]
        kl = F.kl_div(F.log_softmax(own_logits, -1), F.log_softmax(logits, -1), log_target=True, reduction="batchmean")
        off = sum((o - f).square().mean() / f.square().mean() for o, f in zip(own_features, features)) / len(features)
        opt.zero_grad(set_to_none=True)
        (kl + 0.5 * off + a.answers * F.cross_entropy(own_logits, truth)).backward()
        torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        opt.step()
        step += 1
        if step % 10 == 0 or a.steps:
            seen.append((kl.item(), off.item(), (own_logits.argmax(-1) == truth).float().mean().item()))
        if time.time() - last > a.save_s or a.steps:
            mean = [round(sum(x) / len(x), 5) for x in zip(*seen)] if seen else []
            print(f"step {step}, {time.time() - t0:.0f} s: KL, features, share right {mean}; {save()} bytes", flush=True)
            seen, last = [], time.time()
    print(f"{step} steps in {time.time() - t0:.0f} s, {save()} bytes", flush=True)
    os._exit(0)  # do not wait for the workers


if __name__ == "__main__":
    main()
