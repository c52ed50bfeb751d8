"""Packs: pre-drawn screens of real renderers with their truth, and how they become training pictures again.

A record is drawn as it stands, or with its colours turned, under a dialog that `render` draws, or as one of two frames.
"""

import glob, io, json, lzma, os

from PIL import Image


class Pack:
    """One pack file, read on demand: `truths[i]` and `pictures(i)`."""

    def __init__(self, path):
        with open(path, "rb") as file:
            head = json.loads(file.readline())
            self.truths = json.loads(lzma.decompress(file.read(head["truths"])))
            self.at = file.tell()
        self.path, self.sizes = path, head["pictures"]
        self.starts, at = [], self.at
        for sizes in self.sizes:
            self.starts.append(at)
            at += sum(sizes)

    def __len__(self):
        return len(self.truths)

    def pictures(self, i):
        """The picture, and its second state where the record has one."""
        with open(self.path, "rb") as file:
            file.seek(self.starts[i])
            raw = [file.read(n) for n in self.sizes[i]]
        first = Image.open(io.BytesIO(raw[0])).convert("RGB")
        out = [first]
        if len(raw) > 1:
            second = first.copy()
            second.paste(Image.open(io.BytesIO(raw[1])).convert("RGB"), tuple(self.truths[i]["step"][1:3]))
            out.append(second)
        return out


class Shelf:
    """All packs of a folder, by the size of their pictures."""

    def __init__(self, folder):
        self.packs = [Pack(p) for p in sorted(glob.glob(os.path.join(folder, "*.pack")))]
        self.of = {}
        for k, pack in enumerate(self.packs):
            for i, t in enumerate(pack.truths):
                self.of.setdefault(t["size"], []).append((k, i))
                if "step" in t:
                    self.of.setdefault("step " + t["size"], []).append((k, i))

    def draw(self, r, size):
        """-> (truth, pictures) of a record of that size, or None where there is none."""
        some = self.of.get(size)
        if not some:
            return None
        k, i = some[int(r.random() * len(some))]
        return self.packs[k].truths[i], self.packs[k].pictures(i)


_SHELF = None


def load_packs(folder):
    """Opens the packs of `folder` for `shelf`; a folder that is not there holds none."""
    global _SHELF
    _SHELF = Shelf(folder) if folder else None
    return _SHELF


def shelf():
    return _SHELF
