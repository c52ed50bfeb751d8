"""Two frames of one screen and what changed between them, in one short sentence."""

from .narrate import article, capital, cut
from .packs import shelf
from .render.canvas import Theme
from .render.programs_forms import dialog
from .render.scene import scene
from .render.terminals import grow
from .text import ERROR, INFO, anything, fill, pick, words

Q_CHANGE = (
    "What changed?|What just changed?|Describe what is on the screen and what just changed.|What is different now?|"
    "Describe what changed between the frames.|What happened?|What is new?|Describe the screen."
).split("|")
NOTHING = "Nothing changed."


def changed(r, W, H, size=None):
    """-> (two frames, what changed). `size`: the bucket whose real pages may be used."""
    if size and shelf() and r.random() < 0.3:
        got = shelf().draw(r, "step " + size)
        if got:
            T, frames = got
            if r.random() < 0.25:
                return [frames[1], frames[1].copy()], NOTHING
            return frames, T["step"][0]
    for _ in range(6):
        c, T, t = scene(r, W, H)
        if r.random() < 0.45 or "screen" in T:  # prefer terminals: their output grows
            break
    before = c.img.copy()
    k = r.random()
    if k < 0.25:
        return blinked(r, before, c.img) if r.random() < 0.3 else [before, c.img], NOTHING
    if "screen" in T and k < 0.8:
        what = grow(r, T)
        return [before, c.img], what or NOTHING
    for change in r.sample((opened, noticed, replaced, edited, typed, scrolled), 6):
        got = change(r, c, T, t, before)
        if got:
            return got
    return [before, before.copy()], NOTHING


def blinked(r, before, after):
    """A text cursor comes or goes: that is no change."""
    x, y, w, h = r.randint(20, before.width - 40), r.randint(20, before.height - 40), r.choice((1, 2, 8)), r.randint(12, 20)
    box = (x, y, x + w, y + h)
    if len(before.crop((x - 2, y - 2, x + w + 2, y + h + 2)).getcolors(4) or range(9)) == 1:
        under = before.getpixel((x, y))
        after = after.copy()
        after.paste((255, 255, 255) if sum(under) < 380 else (0, 0, 0), box)
    return [before, after] if r.random() < 0.5 else [after, before]


def opened(r, c, T, t, before):
    """A dialog opens, or closes."""
    d = dialog(c, Theme(r), (0, 0, c.W, c.H))
    a = capital(article(d.kind))
    name = f' titled "{d.title}"' if d.title else ""
    if r.random() < 0.3:
        return [c.img, before], f"{a}{name} was closed."
    return [before, c.img], f"{a}{name} appeared. {d.say}" + (f" Buttons: {', '.join(d.buttons)}." if d.buttons else "")


def noticed(r, c, T, t, before):
    """A notification comes or goes."""
    nt = Theme(r)
    bad = r.random() < 0.4
    s = fill(r, pick(r, ERROR if bad else INFO))[:70].strip()
    w, h = int(nt.font.getlength(s)) + 30, nt.px + 22
    x, y = c.W - w - 12, pick(r, (12, c.H - h - 44))
    if x < 0:
        return None
    c.box(x, y, w, h, nt.panel, nt.border, nt.round)
    shown = c.text(x + 14, y + 9, s, nt.font, nt.error if bad and r.random() < 0.5 else nt.fg)
    if not shown:
        return None
    if r.random() < 0.2:
        return [c.img, before], f'The notification "{shown}" disappeared.'
    return [before, c.img], f'{"An error message" if bad else "A notification"} appeared: "{shown}".'


def replaced(r, c, T, t, before):
    """Another program is in front."""
    if r.random() < 0.5:
        return None
    c2, T2, _ = scene(r, c.W, c.H)
    return [before, c2.img], f"The screen changed to {article(T2.kind)}" + (f' titled "{T2.title}"' if T2.title else "") + (
        f'. Error: "{cut(T2.error, 100)}"' if T2.error else "."
    )


def edited(r, c, T, t, before):
    """One string changes, comes, goes or is selected."""
    items = [i for i in c.items if 3 <= len(i[0]) and i[3] > 20]
    if not items:
        return None
    s, x, y, w, h, font, col = pick(r, items)
    bg = c.img.getpixel((int(max(0, x - 2)), int(min(c.H - 1, y + h / 2))))
    box = (int(x), int(y), int(x + w + 1), min(c.H - 1, int(y + h + 1)))
    c.d.rectangle(box, fill=bg)
    kind = r.random()
    if kind < 0.25:
        if r.random() < 0.6:
            return [c.img, before], f'The text "{cut(s, 60)}" appeared.'
        return [before, c.img], f'The text "{cut(s, 60)}" disappeared.'
    if kind < 0.5:
        c.d.rectangle(box, fill=t.accent)
        font.draw(c.img, x, y, s, t.accent_fg, c.mode)
        return [before, c.img], f'The text "{cut(s, 60)}" was selected.'
    n = anything(r, max(3, len(s)))
    while n and font.getlength(n) > max(w, 24):
        n = n[:-1].rstrip()
    n = n or "x"
    font.draw(c.img, x, y, n, col, c.mode)
    return [before, c.img], f'The text "{cut(s, 60)}" changed to "{n}".' if n != s else NOTHING


def typed(r, c, T, t, before):
    """Words are typed after the end of a line."""
    items = [i for i in c.items if i[1] + i[3] < c.W * 0.7 and len(i[0]) > 1]
    if not items:
        return None
    s, x, y, w, h, font, col = pick(r, items)
    new = words(r, r.randint(1, 3))
    end = x + w + font.getlength(" ")
    strip = before.crop((int(end), int(y), int(end + font.getlength(new) + 4), int(y + h)))
    if end + font.getlength(new) > c.W - 4 or len(strip.getcolors(4096) or range(99)) > 1:
        return None  # something stands there already
    font.draw(c.img, end, y, new, col, c.mode)
    return [before, c.img], f'"{new}" was typed after "{cut(s, 40)}".'


def scrolled(r, c, T, t, before):
    """The lower part of the screen moves up."""
    if T.kind not in ("text editor", "web page", "code editor", "chat") or len(c.items) < 8:
        return None
    items = sorted(c.items, key=lambda i: i[2])
    top = int(items[len(items) // 4][2]) - 2
    step = r.randint(30, max(31, (c.H - top) // 3))
    if top < 4 or c.H - top - step < 40:
        return None
    part = before.crop((0, top + step, c.W, c.H))
    c.d.rectangle((0, top, c.W, c.H), fill=before.getpixel((3, min(c.H - 1, top + 4))))
    c.img.paste(part, (0, top))
    return (
        ([before, c.img], f"The {T.kind} was scrolled down.")
        if r.random() < 0.8
        else ([c.img, before], f"The {T.kind} was scrolled up.")
    )
