"""Packs of real pages: pictures that Chromium drew, with their truth as read back from the page.

python3 -m pocket_vl.html.make --assets assets --out packs/a.pack --mib 24 --seconds 900 --seed 1

A pack is one file: a line of JSON with the records' offsets, then compressed truths, then WebP pictures (lossless).
`pocket_vl.packs.Pack` reads it.
"""

import argparse, io, json, lzma, os, random, re, time

from PIL import Image, ImageChops

from ..render.face import load_assets
from .browser import Browser
from .page import make

#        drawn at     share
SIZES = {
    "window": ((640, 360), 0.26),
    "wide": ((854, 480), 0.22),
    "svga": ((800, 600), 0.14),
    "xga": ((1024, 768), 0.14),
    "hd": ((1280, 720), 0.24),
}
LEAST = 10  # height of a line in picture elements below which nobody can read it: letters of about 8
FIXED = {"Python", "Rust", "JavaScript", "TypeScript", "Go", "Java", "Yes.", "No.", "Playing.", "Paused.", "Nothing.", "It does not say.", "None.", "None", "None is shown.", "There is none.", "It is empty.", "There are no buttons."}


def flat(s):
    return " ".join(str(s).split())


def merged(items, scale):
    """Pieces on one row of one block become one line: [text, x, y, w, h, block], in the page's order.

    Only whole ones, and only those high enough to be read.
    """
    out = []
    for s, x, y, w, h, whole, block in items:
        last = out[-1] if out else None
        if last and last[5] == block and abs(last[2] - y) < 3 and x >= last[1] + last[3] - 2:
            last[0] += ("" if x - last[1] - last[3] < 1 else " ") + s
            last[3], last[6] = x + w - last[1], last[6] and whole
        else:
            out.append([s, x, y, w, h, block, whole])
    return [[flat(l[0])] + [round(v * scale) for v in l[1:5]] + [l[5]] for l in out if l[6] and l[4] * scale >= LEAST], not all(
        l[6] for l in out
    )


class Seen:
    """What can be read on the page: looks strings up."""

    def __init__(self, lines):
        self.blocks = {}
        for l in lines:
            self.blocks.setdefault(l[5], []).append(l[0])
        self.blocks = [" ".join(b) for b in self.blocks.values()]
        self.all = "\n".join(self.blocks)
        self.words = set(re.findall(r"\S+", self.all)) | set(re.findall(r"[\w.%@/#-]*\w%?", self.all))

    def has(self, s):
        return flat(s) in self.all

    def part(self, s):
        """`s`, or as much of its beginning as can be read, or None."""
        s = flat(s)
        if self.has(s) or all(w in self.words or w.strip(",:.") in self.words for w in s.split()):
            return s
        best = max((b for b in self.blocks if len(b) >= 8 and s.startswith(b)), key=len, default=None)
        return best

    def asked(self, q, a):
        """Whether the page lets one answer."""
        names = re.findall(r"\b(?:[A-Z0-9][\w.-]*|\w*\d\w*)", q.split(" ", 1)[-1])
        if not all(n in self.words or self.has(n) for n in names if n not in ("CPU", "PID")):
            return False
        for quoted in re.findall(r'"([^"]+)"', q):
            if not self.has(quoted):
                return False
        return (
            a in FIXED
            or self.has(a.rstrip("."))
            or self.has(a)
            or all(w.strip(",") in self.words for w in a.split())
            or (a.isdigit() and len(a) < 3)
        )


def truth(spec, lines, buttons, cut):
    """The page's truth, with only what is visible in it."""
    seen = Seen(lines)
    only = set(spec.get("only", ()))
    shown = [b for b in buttons if not only or b[2]]
    ok = lambda s: s and seen.has(s)
    qa = [
        (q, a)
        for q, a in spec.qa
        if a
        and seen.asked(q, str(a))
        and not (cut and re.fullmatch(r"\d+", a) and not seen.has(a))
        and not (cut and q.startswith(("How many", "Which columns", "Which labels")))
    ]
    qa += [(f'Can "{n}" be pressed?', "No." if off else "Yes.") for n, off, _ in shown[:2]]
    now = [n for n in spec.now if all(seen.has(s) for s in re.findall(r'"([^"]+)"', n))]
    return dict(
        kind=spec.kind,
        over=spec.get("over"),
        app=spec.app if ok(spec.app) else None,
        title=spec.title if ok(spec.title) else None,
        error=(spec.error if ok(spec.error) else seen.part(spec.error)) if spec.error else None,
        ask=spec.ask if ok(spec.ask) else None,
        now=now,
        main=[[m, seen.has(m)] for m in map(seen.part, spec.main) if m],
        buttons=[b[0] for b in shown],
        qa=[(q, str(a)) for q, a in qa],
        lines=lines,
    )


def webp(img, smooth=False):
    """A few colours without loss (6 to 12 kB a screen); `smooth` keeps gradients, with the loss of WebP."""
    out = io.BytesIO()
    if smooth:
        img.save(out, "WEBP", quality=86, method=4)
        return out.getvalue()
    if img.getcolors(96) is None:
        img = img.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).convert("RGB")
    img.save(out, "WEBP", lossless=True, quality=60, method=4)
    return out.getvalue()


def fitted(png, W, H):
    """The picture at exactly W×H: a row or column too many is cut off, other sizes are scaled."""
    img = Image.open(io.BytesIO(png)).convert("RGB")
    if W <= img.width < W + 4 and H <= img.height < H + 4:
        return img.crop((0, 0, W, H))
    return img.resize((W, H), Image.LANCZOS)


def record(browser, r):
    """-> (truth, [pictures as WebP bytes]) of one new page; the second picture is what its first step changed."""
    name = r.choices(list(SIZES), [s for _, s in SIZES.values()])[0]
    (W, H), _ = SIZES[name]
    scale = r.choice((1, 1, 1, 1, 1.25, 0.8 if W > 700 else 1, 1.5 if W > 1000 else 1))
    html, spec = make(r)
    if name == "hd" and r.random() < 0.2:  # a larger screen, seen smaller
        scale = W / 1920
        browser.open(html, 1920, 1080)
    else:
        browser.open(html, round(W / scale), round(H / scale), scale)
    items, buttons = browser.read()
    lines, cut = merged(items, scale)
    if len(lines) < 2:
        return None
    T = truth(spec, lines, buttons, cut)
    if spec.error and not T["error"]:
        return None  # the page has an error that nobody can see
    img = fitted(browser.picture(), W, H)
    T.update(size=name, W=W, H=H)
    smooth = r.random() < 0.12
    pictures = [webp(img, smooth)]
    if spec.steps and r.random() < 0.6:
        js, words = r.choice(spec.steps)
        browser.run(f"(() => {{{js}}})()")
        items, _ = browser.read()
        after, _ = merged(items, scale)
        both = Seen(lines + [[*l[:5], f"after {l[5]}"] for l in after])
        img2 = fitted(browser.picture(), W, H)
        box = ImageChops.difference(img, img2).getbbox()
        if box and all(both.has(s) for s in re.findall(r'"([^"]+)"', words)):
            T["step"] = [words, *box]
            pictures.append(webp(img2.crop(box), smooth))
    return T, pictures


def write(path, records):
    """One file of all `records`."""
    truths = lzma.compress(json.dumps([t for t, _ in records], ensure_ascii=False).encode(), preset=6)
    sizes = [[len(p) for p in ps] for _, ps in records]
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as out:
        out.write(json.dumps(dict(truths=len(truths), pictures=sizes)).encode() + b"\n" + truths)
        for _, ps in records:
            out.write(b"".join(ps))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--assets", default="assets")
    p.add_argument("--out", required=True)
    p.add_argument("--mib", type=float, default=24)
    p.add_argument("--seconds", type=float, default=900)
    p.add_argument("--n", type=int, default=100000)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    load_assets(os.path.abspath(a.assets))
    r, browser, records, size, t0, failed = random.Random(a.seed), Browser(), [], 0, time.time(), 0
    while size < a.mib * 2**20 and time.time() - t0 < a.seconds and len(records) < a.n:
        try:
            got = record(browser, r)
        except (RuntimeError, TimeoutError) as e:
            failed += 1
            print("left out:", str(e)[:200], flush=True)
            if failed > 20:
                raise
            continue
        if got:
            records.append(got)
            size += sum(map(len, got[1])) + 500
        if len(records) % 100 == 0 and got:
            print(f"{len(records)} pages, {size / 2**20:.1f} MiB, {time.time() - t0:.0f} s", flush=True)
            write(a.out, records)
    browser.close()
    write(a.out, records)
    print(f"{len(records)} pages, {os.path.getsize(a.out) / 2**20:.1f} MiB in {time.time() - t0:.0f} s")


if __name__ == "__main__":
    main()
