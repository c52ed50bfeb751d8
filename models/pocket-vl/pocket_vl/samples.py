"""What train.py feeds on: pictures of a bucket's size with questions and answers."""

import argparse, io, json, os, random
from PIL import Image, ImageDraw, ImageFilter

from .packs import load_packs, shelf
from .questions import Q_FIRST, Q_LAST, Q_READ, questions
from .render.canvas import Canvas, rows
from .render.face import BOLD, assets, load_assets
from .render.scene import scene
from .render.windows import Truth
from .text import anything, pick
from .video import Q_CHANGE, changed


def subpixel(img):
    """Letters with coloured edges, as displays with red, green and blue stripes get them: red and blue a third aside."""
    red, green, blue = img.split()
    aside = lambda band, by: band.transform(band.size, Image.AFFINE, (1, 0, by, 0, 1, 0), Image.BILINEAR)
    return Image.merge("RGB", (aside(red, -1 / 3), green, aside(blue, 1 / 3)))


def noise(r, img, size):
    """To the bucket's drawing size, and sometimes what displays, scalers and codecs do."""
    if img.size != size:
        img = img.resize(size, pick(r, (Image.BICUBIC, Image.BILINEAR, Image.LANCZOS)))
    k = r.random()
    if k < 0.1:
        b = io.BytesIO()
        img.save(b, "JPEG", quality=r.randint(45, 92))
        img = Image.open(b).convert("RGB")
    elif k < 0.17:
        img = subpixel(img)
    elif k < 0.21 and min(size) > 200:  # a picture that was scaled on its way
        f = r.uniform(0.8, 1.3)
        img = img.resize((int(size[0] * f), int(size[1] * f)), Image.BICUBIC).resize(size, Image.BICUBIC)
    return img


def pointer(r, img):
    x, y, s = r.randint(0, img.width), r.randint(0, img.height), r.randint(10, 18)
    ImageDraw.Draw(img).polygon(
        ((x, y), (x, y + s), (x + s * 0.28, y + s * 0.75), (x + s * 0.7, y + s * 0.7)),
        fill=pick(r, ("white", "black")),
        outline=pick(r, ("black", "white")),
    )


def lines_crop(r, W, H):
    """A few lines of text on a plain ground: where reading is learnt."""
    dark = r.random() < 0.4
    a, b = [tuple(r.randint(*q) for _ in range(3)) for q in ((170, 255), (0, 85))]
    bg, fg = (b, a) if dark else (a, b)
    if r.random() < 0.35:
        bg, fg = ((0, 0, 0), (255, 255, 255)) if dark else ((255, 255, 255), (0, 0, 0))
    k = r.random()
    name = (
        pick(r, assets().mono)
        if k < 0.35
        else pick(r, assets().bitmap or assets().mono)
        if k < 0.42
        else pick(r, assets().serif)
        if k < 0.52
        else pick(r, assets().sans)
        if k < 0.9
        else pick(r, list(BOLD.values()))
    )
    big = r.random() < 0.2
    font = assets().font(
        name if name in assets().files else "DejaVuSans",
        r.randint(18, max(19, min(30, int(H * 0.7)))) if big and H > 40 else r.randint(11, 18),
    )
    px = font.size
    c = Canvas(r, W, H, bg)
    lh = px * r.uniform(1.15, 1.8)
    y = r.uniform(0, max(1, H - lh)) if H < 1.9 * lh else r.uniform(0, lh * 0.8)
    while y + px * 1.2 < H and len(c.items) < 8:
        x = r.uniform(0, W * 0.25) if r.random() < 0.8 else r.uniform(0, W * 0.6)
        if r.random() < 0.12:
            c.box(x - 4, y - 2, r.randint(20, W), px * 1.5, None, fg)
        c.text(x, y, anything(r, 72), font, fg, W - x - 1)
        if r.random() < 0.15:
            break
        y += lh
        if r.random() < 0.1:
            y += lh
    return c.img, rows(c.items)


def crop_of(r, c, W, H):
    """A cut out of a scene; strings that the cut would break are painted over."""
    x, y = r.randint(0, max(0, c.W - W)), r.randint(0, max(0, c.H - H))
    img = c.img.crop((x, y, x + W, y + H))
    d = ImageDraw.Draw(img)
    whole = []
    for s, ix, iy, w, h, font, col in c.items:
        X, Y = ix - x, iy - y
        if X + w < 0 or Y + h < 0 or X > W or Y > H:
            continue
        if X >= 0 and Y >= 0 and X + w <= W and Y + h <= H + 1:
            whole.append((s, X, Y, w, h, font, col))
        else:
            px, py = int(min(max(ix - 2, 0), c.W - 1)), int(min(max(iy + h / 2, 0), c.H - 1))
            d.rectangle((X, Y, X + w, Y + h + 2), fill=c.img.getpixel((px, py)))
    return img, rows(whole)


#            drawn at     seen at (multiples of 32; train.py scales on the GPU, as the image processor would)
BUCKETS = {
    "word": ((192, 32), (192, 32), "lines"),
    "line": ((320, 64), (320, 64), "lines"),
    "block": ((384, 160), (384, 160), "lines"),
    "part": ((512, 256), (512, 256), "crop"),
    "window": ((640, 360), (640, 352), "scene"),
    "wide": ((854, 480), (864, 480), "scene"),
    "svga": ((800, 600), (800, 608), "scene"),
    "xga": ((1024, 768), (1024, 768), "scene"),
    "hd": ((1280, 720), (1280, 704), "scene"),
    "full": ((1344, 756), (1344, 768), "scene"),  # what becomes of 1920×1080
    "video": ((640, 360), (640, 352), "video"),
    "video_hd": ((1280, 720), (1280, 704), "video"),
}


REAL = 0.4  # share of the screens that real renderers drew, where there are packs
SMALLER = {"wide": "window", "hd": "wide", "xga": "svga", "full": "hd"}  # of the same shape: its pages, larger
BLURRED = 0.03  # share of the screens whose text nobody can read


def turned(r, img):
    """Colours turned, dimmed or inverted: the same page in another theme."""
    k = r.random()
    if k < 0.55:
        return img
    if k < 0.75:  # channels exchanged: other hues, the greys stay
        a = list(img.split())
        r.shuffle(a)
        return Image.merge("RGB", a)
    if k < 0.9:
        return img.point(lambda v: 255 - v)
    low, high = r.randint(0, 40), r.randint(215, 255)
    return img.point(lambda v: low + v * (high - low) // 255)


def illegible(r, img):
    """So blurred, or so small before, that no letter can be told."""
    if r.random() < 0.5:
        return img.filter(ImageFilter.GaussianBlur(r.uniform(4.5, 8)))
    k = r.uniform(6, 9)
    return img.resize((max(1, int(img.width / k)), max(1, int(img.height / k))), Image.BILINEAR).resize(img.size, Image.BICUBIC)


def real(r, size, W, H):
    """A screen of a pack -> (picture, truth, strings), or None where there is none."""
    got = shelf() and shelf().draw(r, SMALLER.get(size, size) if size == "full" or r.random() < 0.25 else size)
    if not got:
        return None
    record, pictures = got
    img = turned(r, pictures[0])
    if img.size != (W, H):
        img = img.resize((W, H), pick(r, (Image.BICUBIC, Image.BILINEAR, Image.LANCZOS)))
    if r.random() < 0.07:
        c, T, _ = scene(r, W, H, back=(img, record["kind"]))
        return c.img, T, [i[0] for i in c.items]
    lines = [l[0] for l in record["lines"]]
    keys = ("kind", "over", "app", "title", "error", "ask", "now", "main", "buttons", "qa")
    T = Truth(lines=lines, loose=True, **{k: record[k] for k in keys})
    T.update(boxes=record["lines"], width=record["W"], main=prominent(T, record["lines"]))
    return img, T, lines


def prominent(T, boxes):
    """The page's main strings, then what else is written large or first, as long as it is no name of a button."""
    main = [list(m) for m in T.main]
    known = {T.title, T.error, T.ask, T.app, *T.buttons, *(m[0] for m in main)}
    usual = sorted(b[4] for b in boxes)[len(boxes) // 2]
    told = lambda s, h: len(s) > 2 and s[-1] != "▮" and (" " in s or any(ch.isdigit() for ch in s) or h > 1.15 * usual) and s not in known
    rest = sorted((b for b in boxes if told(b[0], b[4])), key=lambda b: (-(b[4] // 4), b[2], b[1]))
    return main + [[b[0], True] for b in rest[:8]]


def drawn(r, size, W, H):
    """One screen of either sort -> (picture, truth, strings)."""
    if r.random() < REAL:
        got = real(r, size, W, H)
        if got:
            return got
    w, h = (W, H)
    if size == "full":
        w, h = 1920, 1080
    elif W > 1000 and r.random() < 0.12:  # a larger screen, scaled down
        w, h = int(W * 1.25), int(H * 1.25)
    c, T, _ = scene(r, w, h, pick(r, (15, 16, 17, 18, 20, 22)) if w > W else None)
    T.update(boxes=c.items, width=w)
    return c.img, T, [i[0] for i in c.items]


def sample(r, bucket):
    """-> list of (frames as pictures, [(question, answer)]); one rendering may give several samples."""
    (W, H), _, kind = BUCKETS[bucket]
    if kind == "lines":
        img, lines = lines_crop(r, W, H)
        return [([noise(r, img, (W, H))], [(pick(r, Q_READ), "\n".join(lines))])] if lines else []
    if kind == "crop":
        return crops(r, W, H)
    if kind == "video":
        frames, answer = changed(r, W, H, "hd" if "hd" in bucket else "window")
        if r.random() < 0.3:
            pointer(r, frames[1])
        return [([noise(r, f, (W, H)) for f in frames], [(pick(r, Q_CHANGE), answer)])]
    img, T, strings = drawn(r, bucket, W, H)
    if r.random() < BLURRED:
        return [([noise(r, illegible(r, img), (W, H))], questions(r, T, [], blurred=True))]
    if r.random() < 0.35:
        pointer(r, img)
    return [([noise(r, img, (W, H))], questions(r, T, strings))]


def crops(r, W, H):
    """Small screens, and pieces of larger ones in which to read."""
    if r.random() < 0.35:
        c, T, _ = scene(r, W, H)
        return [([noise(r, c.img, (W, H))], questions(r, T, [i[0] for i in c.items]))]
    c, T, _ = scene(r, 1024, 640)
    out = []
    for _ in range(5):
        img, lines = crop_of(r, c, W, H)
        if lines:
            qa = [(pick(r, Q_READ), "\n".join(lines)), (pick(r, Q_FIRST), lines[0]), (pick(r, Q_LAST), lines[-1])]
            out.append(([noise(r, img, (W, H))], qa[: r.randint(1, 3)]))
    return out


def main():
    p = argparse.ArgumentParser(description="Pictures and truth, to look at.")
    p.add_argument("--assets", default="assets")
    p.add_argument("--packs")
    p.add_argument("--out", default="samples")
    p.add_argument("--n", type=int, default=16)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--bucket")
    a = p.parse_args()
    load_assets(a.assets)
    load_packs(a.packs)
    os.makedirs(a.out, exist_ok=True)
    r, i = random.Random(a.seed), 0
    while i < a.n:
        b = a.bucket or pick(r, list(BUCKETS))
        for frames, qa in sample(r, b):
            for k, f in enumerate(frames):
                f.save(os.path.join(a.out, f"{i:03}_{b}_{k}.png"))
            with open(os.path.join(a.out, f"{i:03}_{b}.json"), "w", encoding="utf-8") as out:
                json.dump(qa, out, indent=1, ensure_ascii=False)
            i += 1


if __name__ == "__main__":
    main()
