"""A whole page: one program, perhaps in a window of a desktop, perhaps under a dialog or a message; and its steps."""

from . import desk, home, tech, web, work
from .look import Look, esc
from .parts import *

MAKERS, WEIGHTS = zip(*(web.PAGES + tech.PAGES + home.PAGES + work.PAGES + desk.PAGES))
OWN_FRAME = {p for p, _ in desk.PAGES}
DIALOG = {
    "error": (
        ERROR,
        ("Error", "Failed", "Problem", "Could not save", "Connection lost"),
        (["OK"], ["Retry", "Cancel"], ["Close"], ["Close", "Details"]),
    ),
    "question": (
        QUESTION,
        ("Confirm", "Are you sure?", "Question", "Save changes?"),
        (["Yes", "No"], ["OK", "Cancel"], ["Save", "Don't save", "Cancel"], ["Delete", "Keep"]),
    ),
    "information": (INFO, ("Information", "Done", "Notice", "Update"), (["OK"], ["Got it"], ["Close", "Learn more"])),
}


def window_frame(r, look, spec):
    """The page as a program's window on a desktop, its title bar naming file and program."""
    name = (
        r.choice((spec.title, f"{spec.title} - {spec.app}", f"{spec.title} – {spec.app}", spec.app))
        if spec.title != spec.app
        else spec.app
    )
    marks = r.choice(("<span>—</span>&nbsp;<span>▢</span>&nbsp;<span>✕</span>", "<span>✕</span>", ""))
    mac = (
        '<span style="color:#ff5f57">●</span><span style="color:#febc2e">●</span><span style="color:#28c840">●</span>&nbsp;'
        if r.random() < 0.25
        else ""
    )
    centre = "text-align:center" if r.random() < 0.4 else ""
    x, y, w, h = r.randint(0, 14), r.randint(3, 8), r.randint(70, 86), r.randint(72, 90)
    hue = r.randint(0, 359)
    wall = f"background:linear-gradient({r.randint(0, 360)}deg,hsl({hue} 40% {r.randint(15, 60)}%),hsl({(hue + 60) % 360} 45% {r.randint(15, 60)}%))"
    panel = ""
    if r.random() < 0.6:
        at = r.choice(("top:0", "bottom:0"))
        panel = f'<div class="bar" style="position:absolute;{at};left:0;right:0;padding:3px 10px;z-index:9">{r.choice(("Menu", "Activities", "Start", "Applications"))}<span class="grow"></span>{clock(r)[:5]}</div>'
        y = max(y, 6)
    return f'<div style="position:absolute;inset:0;{wall}">{panel}<div class="win" style="left:{x}%;top:{y}%;width:{w}%;height:{min(h, 93 - y)}%"><div class="ttl">{mac}<b class="grow nowrap" style="{centre}">{esc(name)}</b>{marks}</div><div style="flex:1;min-height:0;position:relative;overflow:hidden;transform:translate(0)">{spec.body}</div></div></div>'


def dialog(r, sort):
    """-> (HTML, title, message, buttons)."""
    texts, heads, names = DIALOG[sort]
    message, head, names = fill(r, pick(r, texts)), pick(r, heads), list(pick(r, names))
    mark = {
        "error": '<span class="err big">✖</span>',
        "question": '<span class="big">?</span>',
        "information": '<span class="big">ℹ</span>',
    }[sort]
    w = r.randint(280, 460)
    html = f'<div class="modal" id="modal" style="left:calc({r.randint(42, 56)}% - {w // 2}px);top:{r.randint(15, 40)}%;width:{w}px"><div class="ttl"><b class="grow">{esc(head)}</b>{r.choice(("✕", ""))}</div><div class="main"><div class="row">{mark if r.random() < 0.6 else ""}<div class="grow">{esc(message)}</div></div><p></p><div class="row" style="justify-content:flex-end">{buttons(r, names)}</div></div></div>'
    if r.random() < 0.5:
        html = '<div id="dim" style="position:fixed;inset:0;background:#0006;z-index:45"></div>' + html
    return html, head, message, names


def toast(r, bad):
    message = fill(r, pick(r, ERROR if bad else INFO))[:80]
    where = r.choice(("right:16px;bottom:16px", "right:16px;top:16px", "left:30%;bottom:20px", "left:16px;bottom:16px"))
    return (
        f'<div class="toast {"bad2" if bad else "plain"}" id="toast" style="{where};max-width:60%">{esc(message)}</div>',
        message,
    )


def make(r):
    """-> (HTML document, Spec). Overlays change the truth; `spec.over` says what lies under a dialog."""
    look = Look(r)
    maker = r.choices(MAKERS, WEIGHTS)[0]
    spec = maker(r)
    spec["over"] = None
    framed = maker not in OWN_FRAME and spec.kind not in ("calculator", "progress window") and r.random() < 0.3
    if framed:
        spec.body = window_frame(r, look, spec)
    k = r.random() * (1 if "dialog" not in spec.kind else 2)
    if k < 0.1:
        sort = r.choice(("error", "error", "question", "information"))
        html, head, message, names = dialog(r, sort)
        spec.body += html
        spec.update(
            over=spec.kind,
            kind=f"{sort} dialog",
            title=head,
            error=message if sort == "error" else None,
            ask=message if sort == "question" else None,
            main=[message] if sort == "information" else [],
            now=[],
            steps=[
                (
                    "document.querySelector('#modal').remove();document.querySelector('#dim')?.remove()",
                    f'The dialog "{head}" was closed.',
                )
            ],
            only=names,
            qa=[
                ("What does the dialog say?", message),
                ("What is the title of the dialog?", head),
                ("Which button is the default?", names[0]),
            ],
        )
    elif k < 0.17:
        bad = r.random() < 0.6
        html, message = toast(r, bad)
        spec.body += html
        spec.now = [f'A message says "{message}".'] + spec.now if not bad else spec.now
        spec.error = message if bad else spec.error
        spec.steps = [("toast.remove()", f'The message "{message}" disappeared.')]
    elif r.random() < 0.5:
        sort = r.choice(("error", "error", "question", "information"))
        if r.random() < 0.5:
            html, head, message, names = dialog(r, sort)
            words_ = f'{"An" if sort[0] in "ei" else "A"} {sort} dialog appeared, titled "{head}": "{message}" Buttons: {", ".join(names)}.'
        else:
            html, message = toast(r, sort == "error")
            words_ = f'A message appeared: "{message}"' if sort != "error" else f'An error message appeared: "{message}"'
        spec.steps = spec.steps + [(f"document.body.insertAdjacentHTML('beforeend',{html!r})", words_)]
    body = f'<!doctype html><meta charset="utf-8"><style>{look.css()}</style><body>{spec.body}</body>'
    return body, spec
