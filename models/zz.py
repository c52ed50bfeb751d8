"""Compresses files of models for the tree: `python3 models/zz.py FILE…` writes `FILE.zz`, a zlib stream, beside each.

By zopfli (PyPI `zopfli`), which needs a minute and gives what every inflater reads.
"""
import sys
import zlib


def squeezed(data):
    import zopfli.zlib

    stream = zopfli.zlib.compress(data, numiterations=15, blocksplittingmax=0)
    assert zlib.decompress(stream) == data
    return stream


def main():
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            data = file.read()
        stream = squeezed(data)
        with open(path + ".zz", "wb") as file:
            file.write(stream)
        print(f"{path}.zz: {len(stream)} bytes of {len(data)}")


if __name__ == "__main__":
    main()
