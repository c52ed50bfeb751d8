"""The picture and every string visible on it, and the themes it is drawn in."""

from PIL import Image, ImageDraw
from .face import BOLD, assets
from ..text import pick


class Theme:
    def __init__(self, r, px=None):
        def grey(lo, hi):
            g = r.randint(lo, hi)
            return tuple(max(0, min(255, g + r.randint(-5, 5))) for _ in range(3))

        self.dark = r.random() < 0.4
        self.bg = grey(10, 50) if self.dark else (255, 255, 255) if r.random() < 0.5 else grey(232, 255)
        self.panel = grey(30, 70) if self.dark else grey(215, 245)
        self.fg = grey(205, 255) if self.dark else grey(0, 60)
        self.muted = grey(130, 180) if self.dark else grey(90, 135)
        self.border = grey(60, 100) if self.dark else grey(150, 215)
        hue = r.random() * 6
        self.accent = tuple(int(255 * max(0, min(1, abs((hue + o) % 6 - 3) - 1)) * 0.75 + 25) for o in (0, 4, 2))
        self.accent_fg = (255, 255, 255) if sum(self.accent) < 420 else (0, 0, 0)
        self.error = (255, 110, 100) if self.dark else (200, 20, 20)
        self.ui = pick(r, assets().common) if r.random() < 0.5 else pick(r, assets().sans)
        self.body = self.ui if r.random() < 0.75 else pick(r, assets().serif)
        self.mono = pick(r, assets().mono)
        self.px = px or pick(r, (11, 12, 12, 13, 13, 14, 14, 15, 16, 17, 18, 20))
        self.round = pick(r, (0, 0, 3, 5, 8))
        self.pad = r.randint(4, 14)
        self.style = pick(r, ("win", "mac", "gnome", "plain"))
        self.font = assets().font(self.ui, self.px)
        self.small = assets().font(self.ui, max(10, self.px - r.randint(0, 2)))
        self.bold = assets().font(BOLD.get(self.ui, self.ui), self.px)
        self.big = assets().font(BOLD.get(self.body, self.body), int(self.px * r.uniform(1.3, 2.1)))
        self.text = assets().font(self.body, self.px)
        self.code = assets().font(self.mono, self.px)


class Canvas:
    """A picture and every string that is visible on it."""

    def __init__(self, r, W, H, bg):
        self.r, self.W, self.H = r, W, H
        self.img = Image.new("RGB", (W, H), bg)
        self.d = ImageDraw.Draw(self.img)
        self.mode = "1" if r.random() < 0.08 else "L"  # a few screens are not antialiased
        self.items = []  # (text, x, y, w, h, font, fill)

    def text(self, x, y, s, font, fill, maxw=None):
        s = s.rstrip()
        w = font.getlength(s) if s else 0
        if maxw is not None and w > maxw:
            n = int(len(s) * maxw / w)
            s = s[:n].rstrip()
            while s and font.getlength(s) > maxw:
                s = s[:-1].rstrip()
            w = font.getlength(s) if s else 0
        if not s or y + font.size * 1.15 > self.H or x + w > self.W + 1 or x < 0 or y < 0:
            return ""
        font.draw(self.img, x, y, s, fill, self.mode)
        lead = len(s) - len(s.lstrip())
        if s.strip():
            self.items.append((s.strip(), x + (font.getlength(s[:lead]) if lead else 0), y, w, font.size * 1.2, font, fill))
        return s

    def wrap(self, s, font, maxw, most=99):
        out, line = [], ""
        for word in s.split():
            grown = (line + " " + word) if line else word
            if font.getlength(grown) <= maxw:
                line = grown
            else:
                if line:
                    out.append(line)
                line = word if font.getlength(word) <= maxw else ""
        if line:
            out.append(line)
        return out[:most]

    def box(self, x, y, w, h, fill=None, outline=None, radius=0, width=1):
        if w < 1 or h < 1:
            return
        if radius and w > 2 * radius and h > 2 * radius:
            self.d.rounded_rectangle((x, y, x + w, y + h), radius, fill, outline, width)
        else:
            self.d.rectangle((x, y, x + w, y + h), fill, outline, width)

    def cover(self, x, y, w, h):
        """What is under a window that was put on top is gone (even when half of it still shows)."""
        self.items = [i for i in self.items if i[1] + i[3] <= x or i[1] >= x + w or i[2] + i[4] <= y or i[2] >= y + h]

    def button(self, x, y, s, t, primary=False, h=None):
        """Draws a button with its left edge at x; returns its width, 0 if it does not fit."""
        w, h = int(t.font.getlength(s)) + 2 * t.pad + 8, h or t.px + t.pad + 4
        if x + w > self.W or y + h > self.H:
            return 0
        self.box(x, y, w, h, t.accent if primary else t.panel, t.border, t.round)
        self.text(x + t.pad + 4, y + (h - t.px * 1.25) / 2, s, t.font, t.accent_fg if primary else t.fg)
        return w


def rows(items):
    """Items -> lines in reading order; what stands on one line is joined by a space."""
    out = []
    for i in sorted(items, key=lambda i: (i[2], i[1])):
        if out and i[2] < out[-1][0][2] + out[-1][0][4] * 0.45:
            out[-1].append(i)
        else:
            out.append([i])
    return [" ".join(i[0] for i in sorted(row, key=lambda i: i[1])) for row in out]
