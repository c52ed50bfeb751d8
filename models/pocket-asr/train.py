"""Trains pocket-asr on the shards that `synthesise.py` writes, for a given time. All audio lies in GPU memory; augmentation,
front end, model and loss run there.

    train.py --shards DIR --kit KIT --out OUT --seconds 1300 [--resume FILE[.zz]]

Every so often it writes `OUT/model.safetensors` (averaged weights, bf16) and a line to `OUT/log.jsonl`: losses, and the word
error rate on held-out sentences of held-out voices. A resumed run goes on from the weights, with a short warm-up.
"""
import argparse
import json
import math
import queue
import threading
import time
from pathlib import Path

import numpy as np
import pack
import torch
import torch.nn.functional as F
from augment import Augment
from decode import greedy_batch
from features import HOP, FrontEnd
from loss import tdt
from model import Config, Parakeet
from optimiser import Optimiser
from quant import bits_of, round_in_place
from safetensors.torch import save_file
from synthesise import read
from text import label
from tokenizers import Tokenizer

RATE_HZ = 16000
# How much an hour of a voice counts against an hour of Kokoro.
WEIGHTS = {"kokoro": 1.0, "joe": 0.8, "flite": 0.5, "festival": 0.35, "espeak": 0.3}


class Store:
    """Audio on the device, texts beside it, in buckets of like length."""

    def __init__(self, folder, tokenizer, device, hours, blank):
        self.folder, self.tokenizer, self.device, self.blank = Path(folder), tokenizer, device, blank
        self.audio = torch.empty(int(hours * 3600 * RATE_HZ), dtype=torch.int16, device=device)
        self.used, self.seen, self.fresh = 0, set(), queue.Queue(maxsize=4)
        self.offsets, self.lengths, self.weights, self.tokens = [], [], [], []
        self.seconds = {}
        self.buckets = []
        threading.Thread(target=self._look, daemon=True).start()

    def encode(self, lines):
        return [np.array(e.ids, np.int16) for e in self.tokenizer.encode_batch([label(line) for line in lines])]

    def _look(self):
        while True:
            for path in sorted(self.folder.glob("[cg]pu*.npz")):
                if path.name not in self.seen:
                    self.seen.add(path.name)
                    audio, lengths, texts, voice = read(path)
                    self.fresh.put((torch.from_numpy(audio), lengths, self.encode(texts), voice))
            time.sleep(0.5)

    def take(self):
        """Moves what is fresh to the device. True if there was something."""
        moved = False
        while not self.fresh.empty():
            audio, lengths, tokens, voice = self.fresh.get()
            if self.used + len(audio) > len(self.audio):
                continue
            self.audio[self.used:self.used + len(audio)] = audio.to(self.device)
            starts = self.used + np.concatenate([[0], np.cumsum(lengths)[:-1]])
            for start, length, row in zip(starts, lengths, tokens):
                if 0 < len(row) <= 0.75 * length / RATE_HZ / 1.14 * 12.5 + 2:
                    self.offsets.append(start)
                    self.lengths.append(length)
                    self.tokens.append(row)
                    self.weights.append(WEIGHTS.get(voice, 0.3))
            self.used += len(audio)
            self.seconds[voice] = self.seconds.get(voice, 0) + len(audio) / RATE_HZ
            moved = True
        if moved:
            lengths, weights = np.array(self.lengths), np.array(self.weights)
            order = np.argsort(lengths, kind="stable")
            edges = np.searchsorted(lengths[order], RATE_HZ * np.array([0.0, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8.5, 10, 12, 14, 18]))
            self.buckets = [order[a:b] for a, b in zip(edges, edges[1:]) if b > a]
            self.chances = [weights[b] / weights[b].sum() for b in self.buckets]
            # Short ones cost little but count as much as any: between by time and by number.
            shares = np.array([weights[b].sum() * (lengths[b].mean() / RATE_HZ + 1.0) for b in self.buckets])
            self.shares = shares / shares.sum()
        return moved

    def batch(self, rng, seconds, most=512):
        """audio [B, n] i16, lengths [B], tokens [B, U], n_tokens [B]."""
        k = rng.choice(len(self.buckets), p=self.shares)
        bucket = self.buckets[k]
        longest = int(self.lengths[bucket[-1]])
        b = int(min(most, max(8, seconds * RATE_HZ / longest)))
        picked = rng.choice(bucket, size=b, p=self.chances[k])
        lengths = torch.tensor([int(self.lengths[i]) for i in picked]).to(self.device, non_blocking=True)
        offsets = torch.tensor([int(self.offsets[i]) for i in picked]).to(self.device, non_blocking=True)
        at = torch.arange(longest, device=self.device)[None]
        audio = self.audio[(offsets[:, None] + at).clamp(max=len(self.audio) - 1)] * (at < lengths[:, None])
        rows = [self.tokens[i] for i in picked]
        counts = torch.tensor([len(r) for r in rows])
        tokens = torch.zeros(b, int(counts.max()), dtype=torch.long)
        for row, values in zip(tokens, rows):
            row[:len(values)] = torch.from_numpy(values.astype(np.int64))
        return audio, lengths, tokens.to(self.device, non_blocking=True), counts.to(self.device, non_blocking=True)


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]

SILENCE = 5 * 8 * HOP  # samples: 0.4 s


@torch.no_grad()
def transcribe(model, front, tokenizer, audios, device, batch=64):
    """Texts of f32 audios in -1..1, with silence before and after them as the program has it (`stages/src/stt/recognise.rs`)."""
    audios = [F.pad(audio, (SILENCE, SILENCE)) for audio in audios]
    order = sorted(range(len(audios)), key=lambda i: len(audios[i]))
    texts = [""] * len(audios)
    for at in range(0, len(order), batch):
        part = order[at:at + batch]
        lengths = torch.tensor([len(audios[i]) for i in part], device=device)
        padded = torch.zeros(len(part), int(lengths.max()), device=device)
        for row, i in zip(padded, part):
            row[:len(audios[i])] = audios[i].to(device)
        with torch.autocast(padded.device.type, enabled=False):
            features, frames = front(padded, lengths)
        _, encoded, counts = model.encode(features, frames)
        for i, ids in zip(part, greedy_batch(model, encoded, counts)):
            texts[i] = tokenizer.decode(ids).strip()
    return texts


def evaluate(model, front, tokenizer, held, device):
    audios, texts = held
    was = model.training
    model.eval()
    found = transcribe(model, front, tokenizer, audios, device)
    model.train(was)
    pairs = [(label(t).split(), f.split()) for t, f in zip(texts, found)]
    errors, words = sum(distance(a, b) for a, b in pairs), sum(len(a) for a, _ in pairs)
    return errors / max(words, 1), found[:3]


def held_out(path):
    audio, lengths, texts, _ = read(path)
    return [torch.from_numpy(a).float() / 32768 for a in np.split(audio, np.cumsum(lengths)[:-1])], texts


def losses(model, augment, batch, half, with_tdt):
    """CTC and TDT losses a token."""
    audio, lengths, tokens, counts = batch
    features, frames = augment(audio, lengths)
    with torch.autocast(features.device.type, torch.bfloat16, enabled=half):
        hidden, encoded, frames = model.encode(features, frames)
        ctc_logits = model.ctc(hidden)
        log_probs = ctc_logits.float().log_softmax(-1).transpose(0, 1)
        ctc = F.ctc_loss(log_probs, tokens, frames, counts, blank=model.config.blank, reduction="none", zero_infinity=True)
        total = counts.sum()
        if not with_tdt:
            return ctc.sum() / total, None
        predicted = model.predict(tokens)
        logits = model.joint(encoded[:, :, None], predicted[:, None])
    return ctc.sum() / total, tdt(logits, tokens, frames, counts, model.config.durations).sum() / total


def rate_at(progress, peak, warm, resumed):
    if progress < warm:
        return peak * max(progress, 1e-3) / warm
    if progress < 0.5:
        return peak
    return peak * max(0.01, 0.5 * (1 + math.cos(math.pi * (progress - 0.5) / 0.5)))


def save(path, state, config, **notes):
    state = {k: v.detach().to(torch.bfloat16 if v.is_floating_point() else v.dtype).cpu().contiguous() for k, v in state.items()}
    save_file(state, str(path) + ".part", metadata={k: str(v) for k, v in notes.items()})
    Path(str(path) + ".part").rename(path)
    Path(path).with_name("config.json").write_text(json.dumps(config.to_json(), indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", required=True)
    parser.add_argument("--kit", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--resume")
    parser.add_argument("--start-at", type=float, default=0.0, help="where in the schedule a resumed run begins, 0 to 1")
    parser.add_argument("--peak", type=float, default=2.5e-3)
    parser.add_argument("--batch-seconds", type=float, default=1800)
    parser.add_argument("--hours", type=float, default=160, help="room for so much sound on the device")
    parser.add_argument("--first-hours", type=float, default=2.0, help="begin when there is so much")
    parser.add_argument("--ctc-until", type=float, default=0.08, help="CTC alone for this share of the time")
    parser.add_argument("--round-from", type=float, default=0.86, help="from here on with packed weights")
    parser.add_argument("--every", type=float, default=40)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--small", action="store_true", help="a model for tests on a CPU")
    parser.add_argument("--clean", action="store_true", help="no augmentation, for tests")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = device == "cuda"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(Path(args.kit) / "tokenizer.json"))
    n_pieces = tokenizer.get_vocab_size()
    config = Config(vocab_size=n_pieces + 1)
    if args.small:
        config = Config(vocab_size=n_pieces + 1, hidden_size=96, num_hidden_layers=3, intermediate_size=192, subsampling_conv_channels=16, decoder_hidden_size=96, dropout=0.0)
    model = Parakeet(config).to(device)
    if args.resume:
        print("new:", pack.load(model, args.resume))
    average = {k: v.clone() for k, v in model.state_dict().items() if v.is_floating_point()}
    shadow = Parakeet(config).to(device).eval()
    optimiser, augment, front = Optimiser(model), Augment().to(device), FrontEnd().to(device)
    if args.clean:
        augment.forward = lambda audio, lengths: front(audio / 32768, lengths)
    if args.compile:
        for layer in model.encoder.layers:
            layer.compile(dynamic=True)
    quantised = [(n, p) for n, p in model.named_parameters() if bits_of(n, p)]
    store = Store(args.shards, tokenizer, device, args.hours, config.blank)
    log = open(out / "log.jsonl", "a", buffering=1)
    note = lambda **what: (log.write(json.dumps(what) + "\n"), print(json.dumps(what), flush=True))  # noqa: E731
    note(parameters=sum(p.numel() for n, p in model.named_parameters() if not n.startswith("ctc.")), layers=config.num_hidden_layers, device=device)
    while sum(store.seconds.values()) < args.first_hours * 3600 or not (Path(args.shards) / "heldout.npz").exists():
        store.take()
        time.sleep(0.2)
    held = held_out(Path(args.shards) / "heldout.npz")
    began = last = time.time()
    step, sums, heard = 0, torch.zeros(3, device=device), 0.0
    model.train()
    while step < args.steps:
        progress = args.start_at + (1 - args.start_at) * (time.time() - began) / args.seconds if args.steps == 10**9 else step / args.steps
        if progress >= 1:
            break
        if step % 20 == 0:
            store.take()
        warm = 0.03 if not args.resume else args.start_at + 0.01
        rate = rate_at(progress, args.peak, warm, args.resume) * min(1.0, (step + 1) / 200)
        batch = store.batch(rng, args.batch_seconds)
        is_rounding = progress >= args.round_from
        if is_rounding:
            masters = [p.data.clone() for _, p in quantised]
            round_in_place(quantised)
        try:
            ctc, full = losses(model, augment, batch, half, progress >= args.ctc_until)
            total = ctc if full is None else 0.3 * ctc + full
            total.backward()
        except torch.OutOfMemoryError:
            args.batch_seconds *= 0.85
            note(out_of_memory=True, batch_seconds=args.batch_seconds)
            batch = ctc = full = total = None
            model.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            continue
        finally:
            if is_rounding:
                for (_, p), master in zip(quantised, masters):
                    p.data.copy_(master)
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(grads)
        factor = torch.where(torch.isfinite(norm), (2.0 / (norm + 1e-6)).clamp(max=1.0), 0.0)
        for p in model.parameters():
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad.nan_to_num_(0.0, 0.0, 0.0)
        torch._foreach_mul_(grads, factor)
        optimiser.step(rate)
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            live = model.state_dict()
            keep = min(0.9985, (step + 1) / (step + 20))
            torch._foreach_lerp_(list(average.values()), [live[k] for k in average], 1 - keep)
            sums += torch.stack([ctc.detach(), (full if full is not None else ctc * 0).detach(), norm])
        heard += batch[0].numel() / RATE_HZ
        step += 1
        if time.time() - last > args.every or step == args.steps:
            shadow.load_state_dict(average, strict=False)
            if is_rounding:
                round_in_place(list(shadow.named_parameters()))
            with torch.autocast(device, torch.bfloat16, enabled=half):
                error, examples = evaluate(shadow, front, tokenizer, held, device)
            n = max(1, step - getattr(main, "last_step", 0))
            a, b, g = (sums / n).tolist()
            note(s=round(time.time() - began), step=step, progress=round(progress, 3), rate=round(rate, 5), ctc=round(a, 3), tdt=round(b, 3), norm=round(g, 2),
                 heldout_wer=round(error, 4), heard_h=round(heard / 3600, 1), data_h={k: round(v / 3600, 1) for k, v in store.seconds.items()}, rounded=is_rounding, said=examples,
                 gpu_gb=round(torch.cuda.max_memory_allocated() / 2**30, 1) if half else 0)
            sums.zero_()
            main.last_step, last = step, time.time()
            save(out / "model.safetensors", average, config, step=step, progress=round(progress, 4))
    save(out / "model.safetensors", average, config, step=step, progress=1.0)


if __name__ == "__main__":
    main()
