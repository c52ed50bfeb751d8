"""Frames, title bars, menus, buttons, wallpapers, panels; and `Truth`, what a program says about itself."""

import numpy as np
from PIL import Image
from .canvas import rows
from ..text import MENU, clock


def chrome(c, t, rect, name):
    """A window's frame and title bar in the theme's style -> (inner rectangle, the title as shown or None)."""
    x, y, w, h = rect
    c.box(x, y, w, h, t.bg, t.border)
    bar = t.px + t.pad + 6
    if t.style == "plain" and c.r.random() < 0.3:
        return (x + 1, y + 1, w - 2, h - 2), None
    active = c.r.random() < 0.35
    fill, fg = (t.accent, t.accent_fg) if active else (t.panel, t.fg)
    c.box(x, y, w, bar, fill, t.border)
    ty, font = y + (bar - t.px * 1.25) / 2, t.bold if c.r.random() < 0.4 else t.font
    b = bar // 3
    if t.style == "mac":
        for i, col in enumerate(((255, 95, 87), (254, 188, 46), (40, 200, 64))):
            c.d.ellipse((x + 8 + i * b * 2, y + bar / 2 - b / 2, x + 8 + i * b * 2 + b, y + bar / 2 + b / 2), fill=col)
        left, right = 16 + 6 * b, 8
    else:
        cx, cy, s = x + w - bar // 2, y + bar // 2, max(3, bar // 6)
        c.d.line((cx - s, cy - s, cx + s, cy + s), fill=fg)
        c.d.line((cx - s, cy + s, cx + s, cy - s), fill=fg)
        if t.style == "win":
            c.d.rectangle((cx - bar - s, cy - s, cx - bar + s, cy + s), outline=fg)
            c.d.line((cx - 2 * bar - s, cy, cx - 2 * bar + s, cy), fill=fg)
        left, right = 8, bar * (3 if t.style == "win" else 1)
    room = w - left - right
    tw = min(font.getlength(name), room)
    tx = x + left if t.style == "win" or c.r.random() < 0.3 else max(x + left, x + (w - tw) / 2)
    shown = c.text(tx, ty, name, font, fg, room - (tx - x - left))
    return (x + 1, y + bar + 1, w - 2, h - bar - 2), shown or None


def menu_bar(c, t, x, y, w):
    h, cx = t.px + 8, x + 6
    c.box(x, y, w, h, t.panel)
    for m in c.r.sample(MENU, c.r.randint(3, 7)):
        mw = t.font.getlength(m)
        if cx + mw + 8 > x + w:
            break
        c.text(cx, y + 3, m, t.font, t.fg)
        cx += mw + t.pad + 8
    return h


def icon(c, x, y, s):
    col = tuple(c.r.randint(40, 230) for _ in range(3))
    k = c.r.random()
    if k < 0.4:
        c.box(x, y, s, s, col, None, s // 5)
    elif k < 0.7:
        c.d.ellipse((x, y, x + s, y + s), fill=col)
    else:
        c.d.polygon(((x + s / 2, y), (x + s, y + s), (x, y + s)), fill=col)


def buttons_row(c, t, x, y, names, right=None, primary=0):
    """Buttons from x rightwards, or ending at `right`; returns those that fit."""
    if right is not None:
        x = right - sum(int(t.font.getlength(s)) + 2 * t.pad + 18 for s in names)
    done = []
    for i, s in enumerate(names):
        w = c.button(max(0, x), y, s, t, i == primary)
        if not w:
            break
        done.append(s)
        x += w + 10
    return done


class Truth(dict):
    """What a screen says.

    kind, app, title; error, ask (a question that waits), now (sentences: focus, progress, selection); main (strings, the most
    important first), say (sentences on the content), buttons; lines (in reading order; `loose`: in several columns), over
    (what lies under a dialog), qa (its own questions).
    """

    def __init__(self, **kw):
        super().__init__(
            dict(
                kind="",
                app=None,
                title=None,
                lines=[],
                buttons=[],
                error=None,
                ask=None,
                now=[],
                main=[],
                say="",
                over=None,
                loose=False,
                qa=[],
            )
        )
        self.update(kw)

    __getattr__ = dict.__getitem__


def inside(c, start, region=None):
    items = c.items[start:]
    if region:
        x, y, w, h = region
        items = [i for i in items if x <= i[1] < x + w and y <= i[2] < y + h]
    return rows(items)


def wallpaper(c, rect):
    x, y, w, h = rect
    r = c.r
    a, b = (tuple(r.randint(10, 170) for _ in range(3)) for _ in range(2))
    if r.random() < 0.5:
        c.box(x, y, w, h, a)
        return
    ramp = np.linspace(0, 1, h, dtype=np.float32)[:, None] * np.float32([q - p for p, q in zip(a, b)]) + np.float32(a)
    c.img.paste(Image.fromarray(ramp[:, None].astype(np.uint8)).resize((int(w), int(h)), Image.NEAREST), (int(x), int(y)))


def taskbar(c, t):
    r = c.r
    h = t.px + 16
    y = c.H - h if r.random() < 0.8 else 0
    c.cover(0, y, c.W, h)
    c.box(0, y, c.W, h, t.panel)
    for i in range(r.randint(2, 7)):
        icon(c, 10 + i * (h + 2), y + 6, h - 12)
    s = clock(r)[:5]
    c.text(c.W - t.font.getlength(s) - 14, y + 7, s, t.font, t.fg)
    return h


def window(c, t, rect, name):
    return chrome(c, t, rect, name) if t.framed else (c.box(*rect, t.bg), (rect, None))[1]
