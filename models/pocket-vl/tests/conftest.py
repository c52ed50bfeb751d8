"""Assets for tests: those that prepare.sh made (`POCKET_ASSETS`), else a few lines of text and any fonts of this machine."""

import glob, os, random

import pytest

from pocket_vl.render import face


@pytest.fixture(scope="session")
def assets(tmp_path_factory):
    folder = os.environ.get("POCKET_ASSETS")
    if not folder:
        folder = str(tmp_path_factory.mktemp("assets"))
        os.makedirs(folder + "/fonts"), os.makedirs(folder + "/text")
        found = {os.path.basename(p): p for p in glob.glob("/usr/share/fonts/**/*.ttf", recursive=True)}
        wanted = [found.get(n) for n in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf", "DejaVuSerif.ttf")]
        if not all(wanted):
            pytest.skip("needs fonts: set POCKET_ASSETS, or install fonts-dejavu")
        for p in wanted:
            os.symlink(p, f"{folder}/fonts/{os.path.basename(p)}")
        r = random.Random(0)
        word = lambda: "".join(r.choice("abcdefghijklmnoprstuvw") for _ in range(r.randint(2, 9)))
        line = lambda n: " ".join(word() for _ in range(n)).capitalize() + "."
        for name, n in (("prose", 12), ("titles", 4), ("names", 1), ("words", 1), ("code", 6)):
            with open(f"{folder}/text/{name}.txt", "w") as out:
                out.write("\n".join(line(n).strip(".") if n == 1 else line(n) for _ in range(400)) + "\n")
    face.load_assets(folder)
    return folder
