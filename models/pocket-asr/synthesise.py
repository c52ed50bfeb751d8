"""Speaks `text.xz` with all voices, into shards that `train.py` picks up as they appear.

    synthesise.py gpu --kit KIT --tree MODELS --out SHARDS --hours 70     # Kokoro and joe, and the held-out set before them
    synthesise.py cpu --kit KIT --out SHARDS --seconds 900 --workers 12   # flite, Festival, espeak-ng

A shard is an .npz: `audio` (i16, 16 kHz, one after another), `lengths`, `texts` (a line each), `voice`.
"""
import argparse
import json
import math
import multiprocessing
import os
import random
import subprocess
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
import phonemes
import text
import torch
import voices as cast

RATE_HZ = 16000
HELD_OUT_LINES, HELD_OUT = 1200, 240
_espeak = None


def to_sounds(job):
    """(what, line, British?) to the phonemes that the voice wants."""
    global _espeak  # noqa: PLW0603 one library a process
    what, line, british = job
    if _espeak is None:
        _espeak = phonemes.Espeak()
    _espeak.choose("gmw/en" if british else "gmw/en-US")
    ipa = _espeak.ipa(line)
    return phonemes.kokoro(ipa, british) if what == "kokoro" else phonemes.piper(ipa)


def resampled(audio, rate):
    """[B, n] at 16 kHz, through the spectrum."""
    step = rate // math.gcd(rate, RATE_HZ)
    n = audio.shape[1] + -audio.shape[1] % step
    out = n * RATE_HZ // rate
    spectrum = torch.fft.rfft(torch.nn.functional.pad(audio.float(), (0, n - audio.shape[1])))
    return torch.fft.irfft(spectrum[:, :out // 2 + 1], out) * (out / n)


def as_i16(audio):
    """At -26 dB, and no louder than full scale."""
    audio = audio * (0.05 / audio.square().mean().sqrt().clamp(min=1e-6))
    return (audio.clamp(-1, 1) * 32767).round().to(torch.int16).cpu().numpy()


def write(out, name, voice, found):
    """found: [(line, i16 samples)]."""
    if not found:
        return 0
    path, part = Path(out) / f"{name}.npz", Path(out) / f"{name}.part"
    with open(part, "wb") as file:
        np.savez(file, audio=np.concatenate([a for _, a in found]), lengths=np.array([len(a) for _, a in found], np.int32),
                 texts=np.frombuffer("\n".join(line for line, _ in found).encode(), np.uint8), voice=np.frombuffer(voice.encode(), np.uint8))
    os.replace(part, path)
    return sum(len(a) for _, a in found)


def read(path):
    with np.load(path) as shard:
        return shard["audio"], shard["lengths"], shard["texts"].tobytes().decode().split("\n"), shard["voice"].tobytes().decode()


class KokoroSpeaker:
    def __init__(self, kit, device, half):
        import kokoro_voice as kokoro  # noqa: PLC0415
        self.kokoro, self.device, self.half = kokoro, device, half
        self.model, self.voices = kokoro.load(kit, Path(kit) / "kokoro.whl", device)
        self.vocabulary = json.loads((Path(kit) / "kokoro.json").read_text(encoding="utf-8"))
        stft = self.model.decoder.generator.stft
        to_spectrum, to_samples = stft.transform, stft.inverse

        def exact(run):
            def wrapped(*values):
                with torch.autocast(device.split(":")[0], enabled=False):
                    return run(*(v.float() for v in values))
            return wrapped
        stft.transform, stft.inverse = exact(to_spectrum), exact(to_samples)

    def style(self, rng, names, n_tokens):
        row = min(n_tokens, 509) // self.kokoro.ROW_STEP
        if len(names) == 1:
            return self.voices[names[0]][row]
        share = rng.uniform(0.25, 0.75)
        return share * self.voices[names[0]][row] + (1 - share) * self.voices[names[1]][row]

    def speak(self, rng, jobs, seconds=500):
        """[(line, samples)] of jobs (line, sounds, names, speed)."""
        jobs = sorted(jobs, key=lambda job: len(job[1]))
        ready = []
        for i in range(0, len(jobs), 256):
            part = jobs[i:i + 256]
            ids = [[0] + [self.vocabulary[c] for c in sounds if c in self.vocabulary][:self.kokoro.MOST_TOKENS] + [0] for _, sounds, _, _ in part]
            lengths = torch.tensor([len(row) for row in ids], device=self.device)
            padded = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
            for row, values in zip(padded, ids):
                row[:len(values)] = torch.tensor(values)
            style = torch.stack([self.style(rng, names, len(row) - 2) for (_, _, names, _), row in zip(part, ids)])
            speed = torch.tensor([speed for *_, speed in part], device=self.device)
            frames, prosody, words = self.model.durations(padded.to(self.device), lengths, style, speed)
            totals = frames.sum(1).tolist()
            ready += [(total, job[0], frames[j], prosody[j], words[j], style[j]) for j, (total, job) in enumerate(zip(totals, part)) if total < 40 * 17]
        ready.sort(key=lambda r: r[0])
        found, i = [], 0
        while i < len(ready):
            count = max(1, int(seconds * 40 / ready[min(i + 200, len(ready) - 1)][0]))
            part = ready[i:i + count]
            i += len(part)
            width = max(len(r[2]) for r in part)
            pad = torch.nn.functional.pad
            args = (torch.stack([pad(r[2], (0, width - len(r[2]))) for r in part]), torch.stack([pad(r[3], (0, 0, 0, width - len(r[3]))) for r in part]),
                    torch.stack([pad(r[4], (0, width - r[4].shape[1])) for r in part]), torch.stack([r[5] for r in part]))
            for half in (self.half, torch.bfloat16, None):
                with torch.autocast(self.device.split(":")[0], half, enabled=half is not None):
                    audio = self.model.speak(*args, )
                if bool(torch.isfinite(audio).all()):
                    break
            audio = resampled(audio, self.kokoro.SAMPLE_RATE_HZ)
            found += [(r[1], as_i16(row[:r[0] * self.kokoro.SAMPLES_A_FRAME * 2 // 3])) for r, row in zip(part, audio)]
        return found


class JoeSpeaker:
    def __init__(self, tree, device, half):
        import piper_voice  # noqa: PLC0415
        self.piper, self.device, self.half = piper_voice, device, half
        self.joe = piper_voice.Joe(Path(tree) / "joe", device)

    def speak(self, rng, jobs):
        jobs = sorted(jobs, key=lambda job: len(job[1]))
        found = []
        for i in range(0, len(jobs), 64):
            part = jobs[i:i + 64]
            ids = [self.joe.ids(sounds) for _, sounds, _, _ in part]
            padded = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
            for row, values in zip(padded, ids):
                row[:len(values)] = torch.tensor(values)
            draw = lambda low, high: torch.tensor([rng.uniform(low, high) for _ in part], device=self.device)  # noqa: E731
            audio, lengths = self.joe.speak(padded.to(self.device), torch.tensor([len(r) for r in ids], device=self.device), draw(0.8, 1.35),
                                            draw(0.4, 1.1), draw(0.3, 1.0), self.half or torch.float32)
            audio = resampled(audio, self.piper.SAMPLE_RATE_HZ)
            for (line, *_), row, n in zip(part, audio, lengths.tolist()):
                samples = row[:n * RATE_HZ // self.piper.SAMPLE_RATE_HZ]
                if len(samples) < 17 * RATE_HZ and bool(torch.isfinite(samples).all()):
                    found.append((line, as_i16(samples)))
        return found


def gpu(args):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = torch.float16 if device == "cuda" else None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    rng = random.Random(args.seed)
    lines = text.read(Path(args.kit) / "text.xz")
    held, lines = lines[:HELD_OUT_LINES], lines[HELD_OUT_LINES:]
    rng.shuffle(lines)
    began, done = time.time(), 0.0
    workers = multiprocessing.get_context("spawn").Pool(args.workers)

    def say(speaker, what, batch, choose):
        picked = [choose(rng) for _ in batch]
        sounds = workers.map(to_sounds, [(what, line, cast.is_british(p[0])) for line, p in zip(batch, picked)], chunksize=64)
        return speaker.speak(rng, [(line, s, p[0], p[1]) for line, s, p in zip(batch, sounds, picked)])

    kokoro, joe = KokoroSpeaker(args.kit, device, half), JoeSpeaker(args.tree, device, half)
    print(f"voices loaded after {time.time() - began:.0f} s", flush=True)
    unseen = say(kokoro, "kokoro", [line for line in held if len(line) > 12][:args.held_out], cast.held_out)
    write(args.out, "heldout", "kokoro", unseen)
    i = shard = 0
    while done < args.hours * 3600 and time.time() - began < args.seconds and i < len(lines):
        is_joe = shard % 8 == 3
        batch = lines[i:i + args.pool]
        i += len(batch)
        found = say(joe, "joe", batch, lambda r: (["joe"], 1.0)) if is_joe else say(kokoro, "kokoro", batch, cast.kokoro)
        done += write(args.out, f"gpu{args.seed}-{shard:04}", "joe" if is_joe else "kokoro", found) / RATE_HZ
        shard += 1
        print(f"gpu voices: {done / 3600:.1f} h after {time.time() - began:.0f} s", flush=True)
    workers.terminate()


def speak_on_cpu(job):
    """One shard of a voice that runs on the CPU."""
    seed, out, voice, lines = job
    rng = random.Random(seed)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for line, path in cast.on_cpu(rng, voice, lines, folder):
            try:
                with wave.open(str(path)) as file:
                    rate = file.getframerate()
                    audio = np.frombuffer(file.readframes(1 << 24), "<i2").astype(np.float32) / 32768  # espeak-ng's header lies about the length
            except (OSError, wave.Error, EOFError):
                continue
            path.unlink()
            if RATE_HZ // 5 < len(audio) * RATE_HZ // rate < 17 * RATE_HZ:
                found.append((line, as_i16(resampled(torch.from_numpy(audio)[None], rate)[0])))
    return write(out, f"cpu-{voice.split(':')[0]}-{seed:05}", voice.split(":")[0], found) / RATE_HZ


def cpu(args):
    torch.set_num_threads(1)
    rng = random.Random(args.seed + 1000)
    lines = text.read(Path(args.kit) / "text.xz")[HELD_OUT_LINES:]
    began, done = time.time(), 0.0
    jobs = ((args.seed * 10000 + n, args.out, cast.next_on_cpu(n), rng.sample(lines, args.pool)) for n in range(100000))
    with multiprocessing.get_context("spawn").Pool(args.workers) as workers:
        for n, seconds in enumerate(workers.imap_unordered(speak_on_cpu, (j for j in jobs if time.time() - began < args.seconds))):
            done += seconds
            if n % 20 == 0:
                print(f"cpu voices: {done / 3600:.1f} h after {time.time() - began:.0f} s", flush=True)
            if time.time() - began > args.seconds or done > args.hours * 3600:
                workers.terminate()
                return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["gpu", "cpu"])
    parser.add_argument("--kit", required=True)
    parser.add_argument("--tree", default=str(Path(__file__).resolve().parent.parent))
    parser.add_argument("--out", required=True)
    parser.add_argument("--hours", type=float, default=70)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pool", type=int, default=2048)
    parser.add_argument("--held-out", type=int, default=HELD_OUT)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    (gpu if args.what == "gpu" else cpu)(args)


if __name__ == "__main__":
    main()
