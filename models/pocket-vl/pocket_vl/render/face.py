"""Fonts that keep their rasterised glyphs, and the assets (fonts, lines of text) loaded once a process.

`assets/` comes from `prepare.sh`: `fonts/` and `text/`.
"""

import glob, os
import numpy as np
from PIL import Image, ImageDraw, ImageFont


SANS = (
    "Roboto-Regular Roboto-Medium RobotoCondensed-Regular LiberationSans-Regular DejaVuSans DejaVuSansCondensed NotoSans-Regular "
    "Cantarell-Regular Lato-Regular OpenSans-Regular FreeSans Carlito-Regular Inter-Regular NotoSansDisplay-Regular "
    "Quicksand-Regular Comfortaa-Regular OpenSans-Semibold LiberationSans-Italic NotoSans-Italic DejaVuSans-Oblique"
).split()
COMMON_SANS = "DejaVuSans LiberationSans-Regular NotoSans-Regular Roboto-Regular Cantarell-Regular OpenSans-Regular".split()
SERIF = "LiberationSerif-Regular DejaVuSerif NotoSerif-Regular FreeSerif Caladea-Regular LiberationSerif-Bold".split()
MONO = (
    "DejaVuSansMono LiberationMono-Regular Hack-Regular FiraCode-Regular NotoSansMono-Regular NotoMono-Regular Inconsolata "
    "JetBrainsMono-Regular FreeMonoBold DejaVuSansMono LiberationMono-Regular DejaVuSansMono-Bold Hack-Bold"
).split()
BITMAP = {"6x13": 13, "7x13": 13, "7x14": 14, "8x13": 13, "9x15": 15, "9x18": 18, "10x20": 20, "6x13B": 13, "9x15B": 15}
BOLD = {
    "Roboto-Regular": "Roboto-Bold",
    "LiberationSans-Regular": "LiberationSans-Bold",
    "DejaVuSans": "DejaVuSans-Bold",
    "NotoSans-Regular": "NotoSans-Bold",
    "Cantarell-Regular": "Cantarell-Bold",
    "Lato-Regular": "Lato-Bold",
    "OpenSans-Regular": "OpenSans-Bold",
    "FreeSans": "FreeSansBold",
    "Carlito-Regular": "Carlito-Bold",
    "Inter-Regular": "Inter-Bold",
    "DejaVuSerif": "DejaVuSerif-Bold",
    "LiberationSerif-Regular": "LiberationSerif-Bold",
}


class Face:
    """A font at a size that keeps its rasterised glyphs: about eight times as fast as asking FreeType for each string."""

    def __init__(self, file, size):
        self.font, self.size = ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC), size
        self.ascent = self.font.getmetrics()[0]
        self.advance, self.glyphs = {}, {}

    def getlength(self, s):
        a, total = self.advance, 0.0
        for ch in s:
            if ch not in a:
                a[ch] = self.font.getlength(ch)
            total += a[ch]
        return total

    def glyph(self, ch, mode):
        """-> (coverage [h, w] u8 or None, left, top) from the pen at the ascender line."""
        n, m = self.size * 3, self.size
        img = Image.new("L", (n, n))
        d = ImageDraw.Draw(img)
        d.fontmode = mode
        d.text((m, m), ch, font=self.font, fill=255)
        box = img.getbbox()
        g = (np.asarray(img.crop(box)), box[0] - m, box[1] - m) if box else (None, 0, 0)
        self.glyphs[ch, mode] = g
        return g

    def draw(self, img, x, y, s, fill, mode="L"):
        w, h = int(self.getlength(s)) + self.size * 2, self.size * 2
        mask = np.zeros((h, w), np.uint8)
        pen, left, top = float(self.size) * 0.5, self.size // 2, self.size // 4
        for ch in s:
            g, gx, gy = self.glyphs.get((ch, mode)) or self.glyph(ch, mode)
            if g is not None:
                px, py = int(pen + 0.5) + gx, gy + top
                if py < 0:
                    g, py = g[-py:], 0
                part = mask[py : py + g.shape[0], px : px + g.shape[1]]
                if part.shape == g.shape:
                    np.maximum(part, g, out=part)
            pen += self.advance.get(ch) or self.getlength(ch)
        img.paste(fill, (int(x) - left, int(y) - top), Image.fromarray(mask))


class Assets:
    """Fonts and lines of text, loaded once a process."""

    def __init__(self, folder):
        def lines(name):
            return open(os.path.join(folder, "text", name), encoding="utf-8").read().split("\n")[:-1]

        self.prose, self.titles, self.names, self.words, self.code = map(
            lines, ("prose.txt", "titles.txt", "names.txt", "words.txt", "code.txt")
        )
        self.files = {os.path.splitext(os.path.basename(p))[0]: p for p in glob.glob(os.path.join(folder, "fonts", "*"))}
        self.sans = [f for f in SANS if f in self.files]
        self.common = [f for f in COMMON_SANS if f in self.files]
        self.serif = [f for f in SERIF if f in self.files]
        self.mono = [f for f in MONO if f in self.files]
        self.bitmap = [f for f in BITMAP if f in self.files]
        self.cache = {}

    def font(self, name, size):
        if name in BITMAP:
            size = BITMAP[name]
        key = (name, size)
        if key not in self.cache:
            self.cache[key] = Face(self.files[name], size)
        return self.cache[key]


_LOADED = None


def load_assets(folder):
    """Reads `folder` (see prepare.sh); every other module draws from it."""
    global _LOADED
    _LOADED = Assets(folder)


def assets():
    """What `load_assets` read."""
    return _LOADED
