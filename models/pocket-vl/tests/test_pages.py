"""Pages: every sort can be made; what is kept of their truth can be read; packs come back."""

import random, shutil

import pytest
from PIL import Image

from pocket_vl.html import make as maker
from pocket_vl.html.page import MAKERS, make
from pocket_vl.html.look import Look
from pocket_vl.packs import Pack


@pytest.mark.parametrize("page", MAKERS, ids=lambda p: p.__name__)
def test_every_sort_of_page_can_be_made(assets, page):
    for seed in range(8):
        spec = page(random.Random(seed))
        nameless = spec.kind.endswith(("dialog", "windows"))  # a message or a desktop belongs to no program
        assert spec.kind and (spec.app or nameless) and spec.title and "<" in spec.body
        assert all(isinstance(q, str) and a is not None for q, a in spec.qa)


def test_a_document_holds_its_style_and_body(assets):
    html, spec = make(random.Random(5))
    assert html.startswith("<!doctype html>") and spec.body in html and Look(random.Random(1)).css().count("@font-face") >= 1


def test_only_whole_lines_are_kept():
    lines, cut = maker.merged(
        [["Hello", 0, 0, 30, 10, True, 1], ["there", 34, 0, 30, 10, True, 1], ["half", 0, 20, 30, 10, False, 1]], 2
    )
    assert [l[0] for l in lines] == ["Hello there"] and cut and lines[0][1:5] == [0, 0, 128, 20]


def test_truth_leaves_out_what_cannot_be_seen():
    from pocket_vl.html.look import Spec

    spec = Spec(
        kind="form",
        app="Zed",
        title="Join",
        error="Bad name",
        main=["Ann Lee", "Bob"],
        qa=[("What is in the field Name?", "Ann Lee"), ("What is in the field Zip?", "999")],
    )
    lines = [["Join", 0, 0, 9, 9, 1], ["Name", 0, 10, 9, 9, 2], ["Ann Lee", 0, 20, 9, 9, 3], ["Bad name", 0, 30, 9, 9, 4]]
    T = maker.truth(spec, lines, [["Send", False, False]], False)
    assert T["app"] is None and T["title"] == "Join" and T["error"] == "Bad name" and T["main"] == [["Ann Lee", True]]
    assert [q for q, _ in T["qa"]] == ["What is in the field Name?", 'Can "Send" be pressed?']


def test_a_pack_comes_back(tmp_path):
    img = Image.new("RGB", (640, 360), (9, 99, 199))
    spot = Image.new("RGB", (20, 10), (255, 255, 255))
    records = [
        (dict(size="window", kind="form", step=["It blinked.", 5, 6, 25, 16]), [maker.webp(img), maker.webp(spot)]),
        (dict(size="hd", kind="chat"), [maker.webp(img)]),
    ]
    maker.write(str(tmp_path / "x.pack"), records)
    pack = Pack(str(tmp_path / "x.pack"))
    first, second = pack.pictures(0)
    assert (
        len(pack) == 2
        and first.getpixel((3, 3)) == (9, 99, 199)
        and second.getpixel((10, 10)) == (255, 255, 255)
        and second.getpixel((30, 30)) == (9, 99, 199)
    )
    assert pack.truths[1]["kind"] == "chat" and len(pack.pictures(1)) == 1


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_chromium_draws_a_page_and_reads_it_back(assets):
    from pocket_vl.html.browser import Browser

    browser = Browser()
    try:
        got = next(g for g in (maker.record(browser, random.Random(s)) for s in range(8)) if g)
    finally:
        browser.close()
    T, pictures = got
    seen = maker.Seen(T["lines"])
    assert pictures and T["kind"] and (T["title"] is None or seen.has(T["title"]))
    assert all(0 <= l[1] and l[1] + l[3] <= T["W"] + 3 and l[2] + l[4] <= T["H"] + 3 for l in T["lines"])
