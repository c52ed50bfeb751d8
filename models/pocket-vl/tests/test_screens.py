"""Screens and what is said of them: only what was drawn is quoted, the order is right, the sizes are the buckets'."""

import random, re

import pytest
from PIL import ImageChops

from pocket_vl import samples, video
from pocket_vl.narrate import ROOM, narrate, unreadable
from pocket_vl.phrases import FORMS, beside, rephrased
from pocket_vl.questions import Q_SAY, questions
from pocket_vl.render.canvas import Canvas, Theme
from pocket_vl.render.scene import NAMES, many_windows, scene
from pocket_vl.render.terminals import build_log, grow, inside_editor, monitor, shell
from pocket_vl.render.windows import Truth

PARTS = (shell, build_log, monitor, inside_editor)


def squeezed(strings):
    return re.sub(r"\s+", "", " ".join(strings))


@pytest.mark.parametrize("program", [*NAMES[1:], *PARTS], ids=lambda p: p.__name__)
def test_a_program_quotes_only_what_it_drew(assets, program):
    for seed in range(6):
        r = random.Random(seed)
        t = Theme(r)
        t.framed = True
        c = Canvas(r, 854, 480, t.bg)
        T = program(c, t, (0, 0, 854, 480))
        drawn = squeezed([i[0] for i in c.items])
        assert T.kind and T.lines is not None
        for quoted in re.findall(r'"([^"]{3,})"', narrate(T)):
            assert squeezed([quoted]) in drawn, (program.__name__, seed, quoted)
        if T.error:
            assert squeezed([T.error]) in drawn


def test_many_windows_say_which_is_in_front(assets):
    for seed in range(5):
        r = random.Random(seed)
        c = Canvas(r, 1024, 640, (0, 0, 0))
        T = many_windows(r, c, 1024, 640)
        assert "windows" in T.kind and T.now[0].startswith("In front")


def test_what_matters_comes_before_the_text():
    T = Truth(
        kind="spreadsheet",
        app="Calc",
        title="a.csv",
        error="#REF!",
        now=["The cell B2 is selected."],
        main=["one", ["two three", False]],
        buttons=["OK"],
    )
    assert (
        narrate(T)
        == 'A spreadsheet in Calc, titled "a.csv". Error: "#REF!" The cell B2 is selected. It shows "one", two three. Buttons: OK.'
    )
    T["main"] = [f"string number {i} of many" for i in range(40)]
    assert len(narrate(T)) < ROOM + 90


def test_of_a_blurred_screen_no_text_is_told(assets):
    T = Truth(kind="terminal", title="secret", lines=["secret"], main=["secret"])
    for seed in range(20):
        assert all("secret" not in a for _, a in questions(random.Random(seed), T, ["secret"], blurred=True))
    assert unreadable(T) == "A terminal. The text is unreadable."


@pytest.mark.parametrize("bucket", samples.BUCKETS)
def test_samples_have_the_buckets_size_and_answers(assets, bucket):
    (w, h), _, kind = samples.BUCKETS[bucket]
    r = random.Random(4)
    for _ in range(3):
        for frames, qa in samples.sample(r, bucket):
            assert len(frames) == (2 if kind == "video" else 1) and all(f.size == (w, h) for f in frames)
            assert qa and all(q and a for q, a in qa)


def test_a_screen_is_fixed_by_its_seed(assets):
    a, b = (scene(random.Random(11), 640, 360) for _ in range(2))
    assert a[0].img.tobytes() == b[0].img.tobytes() and narrate(a[1]) == narrate(b[1])


def test_a_change_is_told_where_there_is_one_and_only_there(assets):
    for seed in range(25):
        frames, answer = video.changed(random.Random(seed), 640, 360)
        box = ImageChops.difference(*frames).getbbox()
        same = box is None or (box[2] - box[0] <= 8 and box[3] - box[1] <= 20)  # a cursor that blinks is no change
        assert same == (answer == video.NOTHING), (seed, answer)


def test_a_terminal_goes_on(assets):
    told = set()
    for seed in range(12):
        r = random.Random(seed)
        t = Theme(r)
        t.framed = True
        c = Canvas(r, 640, 360, t.bg)
        T = shell(c, t, (0, 0, 640, 360))
        before = c.img.copy()
        what = grow(r, T)
        if what:
            told.add(what.split()[0])
            assert before.tobytes() != c.img.tobytes()
    assert len(told) > 1


def test_the_narration_is_asked_for_first_mostly(assets):
    r = random.Random(1)
    _, T, _ = scene(r, 640, 360)
    first = sum(questions(r, T, [])[0][0] in Q_SAY for _ in range(100))
    assert 55 < first < 90


def test_a_question_in_other_words_keeps_its_names_and_its_answer():
    seen = {rephrased(random.Random(s), 'Is "Dark mode" on?', "Yes.") for s in range(80)}
    assert len(seen) > 4 and all("Dark mode" in q for q, _ in seen)
    assert {a for q, a in seen if q.endswith(" off?")} == {"No."} and {a for q, a in seen if " off?" not in q} == {"Yes."}
    assert rephrased(random.Random(1), "Why is the sky blue?", "It is.") == ("Why is the sky blue?", "It is.")


@pytest.mark.parametrize("form, others", FORMS)
def test_every_other_form_can_be_filled(form, others):
    n = re.compile(form).groups
    for other in others.split("|"):
        filled = other.rstrip("!").format(*"ABC"[:n])
        assert filled.endswith(("?", ".")) and "{" not in filled


def test_what_stands_beside_and_under_a_string_is_asked_for_where_it_is_clear():
    boxes = [("Name", 10, 10, 40, 16), ("Ann Lee", 80, 10, 60, 16), ("City", 10, 34, 30, 16), ("Oslo", 80, 34, 40, 16)]
    answers = {}
    for seed in range(60):
        for q, a in beside(random.Random(seed), boxes, 640):
            answers.setdefault((re.findall(r"Name|Ann Lee|City|Oslo", q)[0], "under" in q or "below" in q), set()).add(a)
    assert answers[("Name", False)] == {"Ann Lee"} and answers[("City", False)] == {"Oslo"}
    assert answers[("Name", True)] == {"City"} and answers[("Ann Lee", True)] == {"Oslo"} and ("Oslo", True) not in answers
