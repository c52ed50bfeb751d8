"""How well pocket-vl narrates, answers and reads: greedy, on screens it never saw.

python3 -m pocket_vl.evaluate --model DIR --assets OTHER_ASSETS --packs HELD_OUT --n 60      the issue's measures, a table
python3 -m pocket_vl.evaluate --model DIR --screens DIR --out DIR            narrations.tsv and answers.tsv for a scorer
python3 -m pocket_vl.evaluate --model DIR picture.png "What is the title?"   one answer (two pictures: a video)

Held-out screens come from another seed, other packs and, if given, another sample of texts. `--doubt 0.5` turns the
quote guard on. Works on a GPU and without one, with packed and with dense weights.
"""

import argparse, glob, json, os, random, time

import numpy as np
import torch
from PIL import Image

from . import score
from .decode import greedy
from .model import PocketVL
from .pack import load
from .packs import load_packs
from .questions import questions
from .render.face import load_assets
from .samples import BUCKETS, drawn, noise
from .video import NOTHING, changed

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Reader:
    """A model and its tokenizer; `ask` gives answers."""

    def __init__(self, folder, texts=HERE, device=None, doubt=0.0):
        from tokenizers import Tokenizer

        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        with open(os.path.join(texts, "config.json")) as file:
            self.model = PocketVL(json.load(file))
        load(self.model, folder)
        self.model = self.model.to(self.device).eval()
        self.tok = Tokenizer.from_file(os.path.join(texts, "tokenizer.json"))
        self.doubt = doubt

    def ask(self, frames, asked, most=160):
        """Answers to `asked` = one question for each of `frames` (lists of pictures, all of one size and number)."""
        w, h = frames[0][0].size
        W, H = seen_at(w, h)
        x = torch.from_numpy(np.stack([np.stack([np.asarray(p.convert("RGB")) for p in f]) for f in frames]))
        return greedy(self.model, self.tok, x, asked, W, H, most, self.doubt)


def seen_at(w, h, most=1048576):
    """The size the image processor scales a picture to."""
    W, H = max(32, round(w / 32) * 32), max(32, round(h / 32) * 32)
    if W * H > most:
        b = (w * h / most) ** 0.5
        W, H = int(w / b // 32 * 32), int(h / b // 32 * 32)
    return W, H


def screens(reader, n, seed=777, batch=8, buckets=("window", "wide", "svga", "hd"), seconds=1e9):
    """Narrations, answers, lines on `n` held-out screens, or as many as `seconds` allow -> a table."""
    r = random.Random(seed)
    told, right, lines, t0 = [], {}, [], time.time()
    for k in range(0, n, batch):
        if told and time.time() - t0 > seconds:
            break
        bucket = buckets[k // batch % len(buckets)]
        (W, H), _, _ = BUCKETS[bucket]
        some = [drawn(r, bucket, W, H) for _ in range(batch)]
        frames = [[noise(r, img, (W, H))] for img, _, _ in some]
        for (_, T, shown), text in zip(some, reader.ask(frames, ["Describe the screen."] * batch)):
            told.append(score.narration(T, list(shown), text))
        asked = []
        for _, T, shown in some:
            qa = questions(r, T, list(shown))
            mine = {tuple(x) for x in T.qa}
            own = [x for x in qa if x in mine]
            line = [x for x in qa if "begins with" in x[0]]
            asked.append(
                [(("own", *own[0]) if own else ("other", *qa[-1])), (("line", *line[0]) if line else ("other", *qa[-2]))]
            )
        for j in range(2):
            for (kind, _, truth), answer in zip([a[j] for a in asked], reader.ask(frames, [a[j][1] for a in asked], 80)):
                (lines if kind == "line" else right.setdefault(kind, [])).append(
                    answer.strip() == truth.strip() if kind == "line" else score.answered(answer, truth)
                )
        print(f"{k + batch} screens, {time.time() - t0:.0f} s", flush=True)
    out = score.table(told)
    out["questions"] = round(sum(right.get("own", [])) / max(1, len(right.get("own", []))), 3)
    out["lines_exact"] = round(sum(lines) / max(1, len(lines)), 3)
    return out


def videos(reader, n, seed=778, batch=8, seconds=1e9):
    """Pairs of frames: how often nothing is told where nothing changed, and something told where it did."""
    r, t0 = random.Random(seed), time.time()
    idle, exact, wrong, near = [], [], [], []
    for _ in range(0, n, batch):
        if (idle or exact) and time.time() - t0 > seconds:
            break
        some = [changed(r, 640, 360, "window") for _ in range(batch)]
        answers = reader.ask([[noise(r, f, (640, 360)) for f in fs] for fs, _ in some], ["What changed?"] * batch, 100)
        for (_, truth), a in zip(some, answers):
            if truth == NOTHING:
                idle.append(a == NOTHING)
            else:
                exact.append(a == truth)
                wrong.append(a == NOTHING)
                near.append(score.near(score.plain(truth), score.plain(a), 0.75))
    share = lambda v: round(sum(v) / len(v), 3) if v else None
    return dict(quiet_when_nothing=share(idle), exact=share(exact), nearly=share(near), missed=share(wrong))


def real(reader, folder, out):
    """Every NAME.png with a NAME.json beside it: a narration and the truth file's own questions, for a scorer."""
    os.makedirs(out, exist_ok=True)
    narrations, answers = [], []
    for file in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(file) as text:
            truth = json.load(text)
        asked = ["Describe the screen."] + [q["question"] for q in truth.get("qa", [])]
        picture = [Image.open(file[:-5] + ".png").convert("RGB")]
        got = [" ".join(a.split()) for a in reader.ask([picture] * len(asked), asked)]
        narrations.append(f"{truth['id']}\t{got[0]}")
        answers += [f"{truth['id']}\t{i}\t{a}" for i, a in enumerate(got[1:], 1)]
    for name, rows in (("narrations.tsv", narrations), ("answers.tsv", answers)):
        with open(os.path.join(out, name), "w") as file:
            file.write("\n".join(rows) + "\n")


def keep(result, path):
    text = json.dumps(result, indent=1)
    if path:
        with open(path, "w") as file:
            file.write(text + "\n")
    return text


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("picture", nargs="*")
    p.add_argument("--model", default=HERE)
    p.add_argument("--assets", default="assets")
    p.add_argument("--packs")
    p.add_argument("--n", type=int, default=64)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--seconds", type=float, default=1e9, help="about when to stop")
    p.add_argument("--doubt", type=float, default=0.0)
    p.add_argument("--device")
    p.add_argument("--screens")
    p.add_argument("--out")
    a = p.parse_args()
    reader = Reader(a.model, device=a.device, doubt=a.doubt)
    if a.picture:
        *files, question = a.picture
        print(reader.ask([[Image.open(f).convert("RGB") for f in files]], [question])[0])
    elif a.screens:
        real(reader, a.screens, a.out or "real")
    else:
        load_assets(a.assets)
        load_packs(a.packs)
        result = screens(reader, a.n, batch=a.batch, seconds=a.seconds * 0.65)
        keep(result, a.out)
        result["video"] = videos(reader, max(a.batch, a.n // 2), batch=a.batch, seconds=a.seconds * 0.15)
        print(keep(result, a.out))


if __name__ == "__main__":
    main()
