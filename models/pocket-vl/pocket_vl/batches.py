"""Batches of one size and one layout, made by worker processes."""

import os, random
import numpy as np
import torch

from . import packs
from .render import face
from .samples import BUCKETS, sample
from .text import pick


#            batch  text tokens beside the picture   time of a step in ms (only used to plan how many steps a phase gets)
LAYOUT = {
    "word": (320, 48, 10),
    "line": (320, 76, 15),
    "block": (160, 164, 18),
    "part": (80, 256, 18),
    "window": (56, 420, 24),
    "wide": (28, 420, 22),
    "svga": (24, 420, 23),
    "xga": (16, 500, 24),
    "hd": (16, 520, 30),
    "full": (12, 520, 28),
    "video": (48, 150, 20),
    "video_hd": (12, 170, 24),
}
#  what is trained on: each bucket's share of the steps
MIXES = {
    "lines": dict(word=0.25, line=0.45, block=0.3),
    "crops": dict(line=0.12, block=0.33, part=0.3, window=0.25),
    "screens": dict(
        line=0.02, block=0.05, part=0.07, window=0.22, wide=0.14, svga=0.09, xga=0.08, hd=0.1, full=0.07, video=0.13, video_hd=0.06
    ),
}
AGAIN = 0.3  # share of the screens that a worker draws a second time from memory, with other questions
MEMORY = 64  # screens a worker remembers of each bucket

SYSTEM = [
    "You are a helpful assistant.",
    "You describe screens for people who cannot see them.",
    "Answer briefly.",
    "You see the user's screen. Describe it precisely and do not invent anything.",
    "You are QWGLM, a private assistant that sees the screen and talks.",
]


class Batches(torch.utils.data.IterableDataset):
    """Endless batches in the order of `plan`; worker w of n makes those whose number is w modulo n."""

    def __init__(self, assets, shelf, model, plan, seed, scale=1.0):
        self.assets, self.shelf, self.model, self.plan, self.seed, self.scale = assets, shelf, model, plan, seed, scale

    def __iter__(self):
        from tokenizers import Tokenizer

        torch.set_num_threads(1)
        info = torch.utils.data.get_worker_info()
        w, n = (info.id, info.num_workers) if info else (0, 1)
        if face.assets() is None:
            face.load_assets(self.assets)
            packs.load_packs(self.shelf)
        tok = Tokenizer.from_file(os.path.join(self.model, "tokenizer.json"))
        r = random.Random(self.seed * 1000 + w)
        k, memory = w, {}
        while True:
            yield make_batch(r, tok, self.plan(k), self.scale, memory=memory)
            k += n


def layout(bucket):
    (w, h), (W, H), kind = BUCKETS[bucket]
    return w, h, W, H, (W // 32) * (H // 32), kind == "video"


def drawn_or_remembered(r, bucket, memory):
    """Samples of a bucket; where drawing is slow, some come from memory with their questions in another order."""
    kept = memory.setdefault(bucket, [])
    if len(kept) >= 16 and bucket not in ("word", "line", "block") and r.random() < AGAIN:
        frames, qa = kept[int(r.random() * len(kept))]
        if len(qa) > 1:  # its narration has been heard once
            qa = qa[:1] * (r.random() < 0.4) + r.sample(qa[1:], len(qa) - 1)
        return [(frames, qa)]
    new = sample(r, bucket)
    for s in new:
        if len(kept) < MEMORY:
            kept.append(s)
        else:
            kept[int(r.random() * MEMORY)] = s
    return new


def make_batch(r, tok, bucket, scale=1.0, system=None, memory=None):
    B, T_text, _ = LAYOUT[bucket]
    B = max(1, int(B * scale))
    w, h, W, H, n_img, video = layout(bucket)
    T = n_img + T_text
    ids = lambda s: tok.encode(s, add_special_tokens=False).ids
    im_start, im_end, vs, ve, end = (
        tok.token_to_id(s) for s in ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|endoftext|>")
    )
    pad = tok.token_to_id("<|video_pad|>" if video else "<|image_pad|>")
    nl = ids("\n")
    says = [im_start] + ids("assistant\n")
    user = ids("user\n")
    if system is None:
        system = pick(r, SYSTEM) if r.random() < 0.12 and T_text > 100 else ""
    head = ([im_start] + ids("system\n" + system) + [im_end] + nl if system else []) + [im_start] + user
    if video:
        head += ids(f"<{r.randint(0, 9)}.{r.randint(0, 9)} seconds>")
    head += [vs]
    img_pos = np.arange(len(head), len(head) + n_img)
    head = head + [pad] * n_img + [ve]
    frames = np.zeros((B, 2 if video else 1, h, w, 3), np.uint8)
    tokens = np.full((B, T), end, np.int64)
    labels = np.full((B, T), -100, np.int64)
    i, queue = 0, []
    while i < B:
        if not queue:
            try:
                queue = list(drawn_or_remembered(r, bucket, {} if memory is None else memory))
            except (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError, OSError) as e:  # one screen, not the go
                print("left out:", bucket, repr(e)[:200], flush=True)
            continue
        pictures, qa = queue.pop()
        seq, lab = list(head), [-100] * len(head)
        turns = 0
        for q, a in qa:
            ask = (ids(q) if turns == 0 else [im_start] + ids("user\n" + q)) + [im_end] + nl + says
            answer = ids(a) + [im_end]
            if len(seq) + len(ask) + len(answer) + 1 > T:
                if turns or len(seq) + len(ask) + 4 > T:
                    continue
                answer = answer[: T - len(seq) - len(ask)]  # too long a text is read as far as it goes
            seq += ask + answer
            lab += [-100] * len(ask) + answer
            turns += 1
            if len(seq) < T:
                seq += nl
                lab += [-100] * len(nl)
        if not turns:
            continue
        seq, lab = seq[:T], lab[:T]
        tokens[i, : len(seq)] = seq
        labels[i, : len(lab)] = lab
        for f, p in enumerate(pictures):
            frames[i, f] = np.asarray(p)
        i += 1
    # M-RoPE positions (time, row, column), the same for every row of the batch
    pos = np.zeros((3, T), np.int64)
    s = img_pos[0]
    pos[:, :s] = np.arange(s)
    rows, cols = np.divmod(np.arange(n_img), W // 32)
    pos[0, img_pos] = s
    pos[1, img_pos] = s + rows
    pos[2, img_pos] = s + cols
    e = img_pos[-1] + 1
    pos[:, e:] = s + max(W, H) // 32 + np.arange(T - e)
    return bucket, *(torch.from_numpy(a) for a in (frames, tokens, labels, pos, img_pos))


def planner(phases, total_ms):
    """step number -> bucket, the same on every GPU. `phases`: [(share of the time, name of a mix)]."""
    bounds, n = [], 0
    for share, name in phases:
        mix = MIXES[name]
        n += max(1, int(share * total_ms / (sum(p * LAYOUT[b][2] for b, p in mix.items()) / sum(mix.values()))))
        bounds.append((n, list(mix), list(mix.values())))

    def plan(k):
        mix = next((m for m in bounds if k < m[0]), bounds[-1])
        return random.Random(k * 7919 + 13).choices(mix[1], mix[2])[0]

    plan.bounds = [b[0] for b in bounds]
    return plan


def random_batch(bucket, scale, device):
    """A batch of the bucket's shapes, of noise: frames, tokens, labels, positions, places of the picture."""
    w, h, _, _, n_img, video = layout(bucket)
    B, T_text, _ = LAYOUT[bucket]
    B = max(1, int(B * scale))
    T = n_img + T_text
    tokens = torch.randint(0, 4000, (B, T), device=device)
    return [
        torch.randint(0, 256, (B, 1 + video, h, w, 3), dtype=torch.uint8, device=device),
        tokens,
        torch.where(torch.rand(B, T, device=device) < 0.3, tokens, -100),
        torch.arange(T, device=device).expand(3, T).contiguous(),
        torch.arange(5, 5 + n_img, device=device),
    ]
