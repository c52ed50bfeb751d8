"""Packs dense weights with error-compensated rounding, without a GPU: what `qat` does in minutes of one, nearly.

python3 -m pocket_vl.compensate --assets assets --packs packs --init DENSE --out OUT

Each 4-bit matrix is rounded column by column; the error of a column is taken up by those still to come, as the inputs that
the matrix sees call for. The eye is rounded first, the language model then sees the rounded eye.
Source: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023.
"""

import argparse, json, os, random, time

import torch
import torch.nn as nn

from . import packs
from .batches import layout, make_batch
from .model import PocketVL
from .pack import GROUP, bits_of, grouped, load, rounded, rules, scale4, scale8, ungrouped, write
from .render import face

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#  rows of a batch of each bucket, for one round of inputs
ROUND = dict(block=4, part=3, window=4, wide=2, svga=2, xga=1, hd=1, full=1, video=2)
DAMPING = 0.01  # of the mean of the diagonal


def batches(tok, rounds, seed):
    r = random.Random(seed)
    from .batches import LAYOUT

    return [make_batch(r, tok, b, n / LAYOUT[b][0] + 1e-6) for _ in range(rounds) for b, n in ROUND.items()]


def inputs_of(model, names, some):
    """Sums of outer products of what each named linear layer sees, `name -> [k, k]`; padding behind answers is left out."""
    sums, hooks, real = {}, [], None

    def hook(name):
        def see(_, args):
            x = args[0].detach()
            if real is not None and x.shape[:2] == real.shape:
                x = x[real]
            x = x.reshape(-1, x.shape[-1])
            sums[name] = sums.get(name, 0) + x.T @ x

        return see

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name + ".weight" in names:
            hooks.append(module.register_forward_pre_hook(hook(name + ".weight")))
    with torch.no_grad():
        for bucket, frames, tokens, labels, pos, img_pos in some:
            _, _, W, H, n, _ = layout(bucket)
            last = ((labels >= 0) * torch.arange(labels.shape[1])).amax(1, keepdim=True)
            real = torch.arange(labels.shape[1])[None] <= last
            model(frames, tokens, pos, img_pos, H, W, model.model["visual"].tables(H, W, "cpu"))
    for h in hooks:
        h.remove()
    return sums


def compensated(w, seen):
    """-> (the matrix rounded to 4 bits, scales [rows, groups, 1]); `seen` [k, k]: sums of outer products of its inputs."""
    w, h = w.double().clone(), seen.double().clone()
    k = w.shape[1]
    scales = scale4(grouped(w.float()))
    h.diagonal().add_(DAMPING * h.diagonal().mean() + 1e-9)
    inverse = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    out = torch.zeros_like(w)
    for a in range(0, k, GROUP):
        b = min(a + GROUP, k)
        part, s, errors = w[:, a:b].clone(), scales[:, a // GROUP], []
        for j in range(b - a):
            q = rounded(part[:, j : j + 1].float(), s, -8, 7).double()
            out[:, a + j : a + j + 1] = q
            e = (part[:, j : j + 1] - q) / inverse[a + j, a + j]
            part[:, j:] -= e @ inverse[a + j : a + j + 1, a + j : b]
            errors.append(e)
        w[:, b:] -= torch.cat(errors, 1) @ inverse[a:b, b:]
    return out.float(), scales


def loss_of(model, some):
    """Mean loss and share of tokens right over batches."""
    got = []
    with torch.no_grad():
        for bucket, frames, tokens, labels, pos, img_pos in some:
            _, _, W, H, _, _ = layout(bucket)
            tables = model.model["visual"].tables(H, W, "cpu")
            got.append(model.loss(frames, tokens, labels, pos, img_pos, H, W, tables))
    return [round(float(sum(x) / len(x)), 5) for x in zip(*got)]


def main():
    from tokenizers import Tokenizer

    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--assets", default="assets")
    p.add_argument("--packs")
    p.add_argument("--model", default=HERE)
    p.add_argument("--init", required=True)
    p.add_argument("--plan", default=os.path.join(HERE, "pack.plan"))
    p.add_argument("--out", required=True)
    p.add_argument("--rounds", type=int, default=6, help="rounds of 20 pictures")
    p.add_argument("--tested", type=int, default=2, help="rounds of fresh pictures for the loss before and after")
    p.add_argument("--seed", type=int, default=31)
    a = p.parse_args()
    face.load_assets(a.assets)
    packs.load_packs(a.packs)
    os.makedirs(a.out, exist_ok=True)
    tok, t0 = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json")), time.time()
    with open(os.path.join(a.model, "config.json")) as file:
        model = PocketVL(json.load(file)).eval()
    load(model, a.init)
    plan, params = rules(a.plan), dict(model.named_parameters())
    some, tested = batches(tok, a.rounds, a.seed), batches(tok, a.tested, a.seed + 1)
    say = lambda *x: print(f"{time.time() - t0:5.0f} s", *x, flush=True)
    say("loss and share right, dense:", loss_of(model, tested))
    bits = {n: bits_of(n, plan) for n, w in params.items() if w.dim() > 1}
    scales = {}
    with torch.no_grad():
        for part in ("model.visual.", "model.language_model."):
            names = {n for n in bits if n.startswith(part)}
            seen = inputs_of(model, names, some)
            for n in sorted(names):
                w = params[n]
                if bits[n] == 8:
                    g = grouped(w)
                    w.copy_(ungrouped(rounded(g, scale8(g), -127, 127), w))
                elif n in seen:
                    q, scales[n] = compensated(w, seen[n])
                    w.copy_(q)
                elif bits[n] == 4:
                    g = grouped(w)
                    scales[n] = scale4(g)
                    w.copy_(ungrouped(rounded(g, scales[n], -8, 7), w))
            say(f"{part}* rounded; loss and share right:", loss_of(model, tested))
        size = write({n: w.detach() for n, w in params.items()}, plan, os.path.join(a.out, "model.safetensors"), scales)
    say(size, "bytes")


if __name__ == "__main__":
    main()
