"""Scenes: one program full screen, in a window on a desktop, several windows, or a dialog over whatever is there."""

from .canvas import Canvas, Theme
from .programs_data import chart, desktop, files, table
from .programs_forms import dialog, form, player, progress, settings
from .programs_text import chat, code_editor, document, mail, web_page
from .terminals import terminal
from .windows import Truth, taskbar, wallpaper
from ..text import pick

PROGRAMS = [
    (terminal, 20),
    (code_editor, 9),
    (web_page, 14),
    (dialog, 15),
    (form, 8),
    (table, 7),
    (chart, 4),
    (chat, 6),
    (files, 7),
    (settings, 6),
    (document, 9),
    (mail, 4),
    (desktop, 3),
    (progress, 4),
    (player, 2),
]
NAMES, WEIGHTS = zip(*PROGRAMS)
NUMBER = ("no", "one", "two", "three", "four", "five")


def named(T):
    """Takes the program's name from a title such as "notes.txt - Text Editor"."""
    if T.title and not T.app:
        for mark in (" - ", " – "):
            if mark in T.title and T.kind not in ("terminal", "web page") and not T.kind.endswith("dialog"):
                T["app"] = T.title.rsplit(mark, 1)[1].strip() or None
    return T


def many_windows(r, c, W, H):
    """A desktop with several windows, one in front; what is hidden is not told."""
    wallpaper(c, (0, 0, W, H))
    if r.random() < 0.7:
        taskbar(c, Theme(r))
    out = []
    for _ in range(r.randint(2, 4)):
        t = Theme(r)
        t.framed = True
        w, h = int(W * r.uniform(0.34, 0.62)), int(H * r.uniform(0.35, 0.65))
        rect = (r.randint(0, W - w - 1), r.randint(0, max(0, H - h - 44)), w, h)
        c.cover(*rect)
        out.append((rect, named(pick(r, (terminal, document, files, web_page, chat, code_editor, table, settings))(c, t, rect))))
    seen = {i[0] for i in c.items}
    front, back = out[-1][1], [T for _, T in out[:-1] if T.title and T.title in seen]
    names = [f'{T.kind} "{T.title}"' for T in back]
    n = NUMBER[len(out)]
    strings = " ".join(seen)
    qa = [
        ("How many windows are open?", str(len(out))),
        ("Which window is in front?", front.title or f"The {front.kind}."),
        *front.qa,
    ]
    return Truth(
        kind=f"desktop with {n} windows",
        title=None,
        error=front.error,
        lines=front.lines,
        buttons=front.buttons,
        main=front.main,
        loose=True,
        now=[f"In front is the {front.kind}" + (f' "{front.title}".' if front.title else ".")]
        + ([f"Behind it: {', '.join(names)}."] if names else []),
        say=front.say,
        qa=[(q, a) for q, a in qa if a and (len(a) < 12 or a in strings or q.startswith("Which window"))],
    )


def scene(r, W, H, px=None, back=None):
    """-> (canvas, truth, theme). `back`: a picture to put under a dialog, with its kind."""
    t = Theme(r, px)
    program = dialog if back else r.choices(NAMES, WEIGHTS)[0]
    c = Canvas(r, W, H, t.bg)
    t.framed = True
    full, layout = (0, 0, W, H), r.random()
    small = W < 560 or H < 300
    if back:
        c.img.paste(back[0].resize((W, H)), (0, 0))
        truth = dialog(c, t, full)
        truth["over"] = back[1]
    elif program is dialog:
        k = r.random()
        over = None
        if k < 0.5 and not small:
            under = r.choices(NAMES, WEIGHTS)[0]
            bt = Theme(r)
            bt.framed = r.random() < 0.7
            if under is not dialog:
                over = under(c, bt, full).kind
        elif k < 0.8:
            wallpaper(c, full)
        truth = dialog(c, t, full)
        truth["over"] = over
    elif program is desktop:
        truth = many_windows(r, c, W, H) if r.random() < 0.75 and not small else desktop(c, t, full)
    elif layout < 0.45 or small:  # the whole screen
        t.framed = r.random() < 0.65
        truth = program(c, t, full)
    else:  # a window on a desktop, perhaps with others behind
        wallpaper(c, full)
        if r.random() < 0.6:
            taskbar(c, Theme(r))
        if r.random() < 0.35:
            bt = Theme(r)
            bt.framed = True
            behind = pick(r, (terminal, document, files, web_page, chat))
            bw, bh = int(W * r.uniform(0.3, 0.6)), int(H * r.uniform(0.3, 0.6))
            behind(c, bt, (r.randint(0, W - bw), r.randint(0, max(0, H - bh - 40)), bw, bh))
        w, h = int(W * r.uniform(0.5, 0.95)), int((H - 44) * r.uniform(0.55, 0.98))
        if program is progress:
            w, h = min(w, 460), min(h, 230)
        x, y = r.randint(0, W - w - 1), r.randint(0, max(0, H - 42 - h))
        c.cover(x, y, w, h)
        truth = program(c, t, (x, y, w, h))
    return c, named(truth), t
