"""Dialogs, forms, settings, progress, player. Each draws into a rectangle and returns its truth."""

from .face import assets
from .windows import *
from ..text import *


def dialog(c, t, rect, sort=None):
    """A message box in the middle of `rect`, over whatever is there."""
    r = c.r
    x, y, w, h = rect
    sort = sort or pick(r, ("error", "error", "question", "information", "warning"))
    t.style = pick(r, ("win", "mac", "gnome", "win"))
    message = fill(r, pick(r, {"error": ERROR, "question": QUESTION, "information": INFO, "warning": ERROR + QUESTION}[sort]))
    head = pick(
        r,
        {
            "error": (
                "Error",
                "Error",
                fill(r, "{name}")[:16],
                "Failed",
                "Save failed",
                "Cannot open file",
                "Connection error",
                title(r)[:24],
            ),
            "question": ("Question", "Confirm", "Save changes?", "Please confirm", title(r)[:24]),
            "information": ("Information", "Done", "Update", "Message", title(r)[:24]),
            "warning": ("Warning", "Caution", title(r)[:24]),
        }[sort],
    )
    names = {
        "error": (["OK"], ["Close"], ["Retry", "Cancel"], ["Abort", "Retry", "Ignore"], ["OK", "Details"], ["Report", "Close"]),
        "question": (
            ["Yes", "No"],
            ["OK", "Cancel"],
            ["Save", "Don't save", "Cancel"],
            ["Delete", "Cancel"],
            ["Allow", "Deny"],
            ["Yes", "No", "Cancel"],
        ),
        "information": (["OK"], ["Close"], ["OK", "Help"], ["Install", "Later"]),
        "warning": (["OK"], ["OK", "Cancel"], ["Continue", "Stop"]),
    }[sort]
    names = list(pick(r, names)) if r.random() < 0.8 else r.sample(BUTTON, r.randint(1, 3))
    dw = int(min(w - 8, max(190, r.uniform(0.3, 0.6) * w, t.font.getlength(max(names, key=len)) * 4)))
    isz = int(t.px * 2.4) if r.random() < 0.8 else 0
    lines = c.wrap(message, t.font, dw - isz - 44, 4)
    dh = int(t.px * 2 + max(isz, len(lines) * t.px * 1.5) + t.px * 4 + 30)
    dx, dy = x + max(4, int((w - dw) * r.uniform(0.3, 0.7))), y + max(0, int((h - dh) * r.uniform(0.2, 0.7)))
    dh = min(dh, h)
    c.cover(dx, dy, dw, dh)
    if r.random() < 0.5:
        c.box(dx + 4, dy + 4, dw, dh, (20, 20, 20) if not t.dark else (0, 0, 0))
    (ix, iy, iw, ih), shown = chrome(c, t, (dx, dy, dw, dh), head)
    if isz:
        col = {"error": (210, 40, 40), "question": (60, 110, 200), "information": (40, 120, 210), "warning": (235, 170, 30)}[sort]
        bx, by = ix + 12, iy + 12
        if sort == "warning":
            c.d.polygon(((bx + isz / 2, by), (bx + isz, by + isz), (bx, by + isz)), fill=col)
        else:
            c.d.ellipse((bx, by, bx + isz, by + isz), fill=col)
        if sort == "error":
            q = isz * 0.3
            c.d.line((bx + q, by + q, bx + isz - q, by + isz - q), fill="white", width=2)
            c.d.line((bx + q, by + isz - q, bx + isz - q, by + q), fill="white", width=2)
        else:
            t.bold.draw(
                c.img,
                bx + isz * 0.38,
                by + isz * 0.22,
                {"question": "?", "information": "i", "warning": "!"}[sort],
                (255, 255, 255),
            )
    got, _start = [], len(c.items)
    for i, l in enumerate(lines):
        s = c.text(ix + isz + 24, iy + 14 + i * t.px * 1.45, l, t.font, t.fg, iw - isz - 30)
        if s:
            got.append(s)
    said = " ".join(got)
    buttons = buttons_row(c, t, 0, int(iy + ih - t.px - t.pad - 12), names, right=ix + iw - 6)
    say = f'It says "{said}".'
    qa = [
        ("What does the dialog say?", said),
        (
            "What kind of dialog is it?",
            {"error": "An error.", "question": "A question.", "information": "Information.", "warning": "A warning."}[sort],
        ),
    ]
    return Truth(
        kind=f"{sort} dialog",
        title=shown,
        lines=got,
        buttons=buttons,
        error=said if sort == "error" else None,
        ask=said if sort == "question" else None,
        say=say,
        qa=qa,
    )


def form(c, t, rect):
    r = c.r
    login = r.random() < 0.25
    name = (
        pick(r, ("Sign in", "Log in", "Welcome back", "Login"))
        if login
        else pick(
            r,
            ("Registration", "Contact us", "New account", "Checkout", "Edit profile", "Order form", "Properties", title(r)[:30]),
        )
    )
    (x, y, w, h), shown = window(c, t, rect, name)
    labels = pick(r, (["User name", "Password"], ["Email", "Password"])) if login else r.sample(LABEL, r.randint(2, 7))
    above, fh = r.random() < 0.5 or w < 320, t.px + 12
    m = int(w * r.uniform(0.04, 0.2))
    cy = y + r.randint(6, 20)
    start = len(c.items)
    fields, error = [], None
    if shown is None or r.random() < 0.4:
        shown2 = c.text(x + m, cy, name, t.big, t.fg, w - 2 * m)
        cy += int(t.big.size * 1.7)
        shown = shown or shown2 or None
    lw = 0 if above else int(max(t.font.getlength(l) for l in labels) + 16)
    for l in labels:
        if cy + fh * (2 if above else 1) > y + h - fh * 2:
            break
        if above:
            c.text(x + m, cy, l, t.font, t.fg)
            cy += t.px + 6
            fx = x + m
        else:
            c.text(x + m, cy + 5, l + (":" if t.dark else ""), t.font, t.fg)
            fx = x + m + lw
        fw = min(w - (fx - x) - m, int(w * 0.7))
        value = ""
        c.box(fx, cy, fw, fh, t.bg, t.border, t.round)
        if r.random() < 0.65:
            value = (
                "*" * r.randint(4, 10)
                if "Password" in l
                else host(r).replace("www.", user(r) + "@")
                if "mail" in l
                else person(r)
                if "ame" in l
                else date(r)
                if "date" in l.lower()
                else number(r)
                if l in ("Amount", "Port", "Age", "Quantity", "Size", "Width", "Height")
                else words(r, r.randint(1, 2))
            )
            value = c.text(fx + 6, cy + 4, value, t.font, t.fg, fw - 12)
        fields.append((l, value))
        cy += fh + t.pad
        if error is None and r.random() < 0.1 and cy < y + h - fh * 2.5:
            e = pick(
                r,
                (
                    f"{l} is required.",
                    f"Please enter a valid {l.lower()}.",
                    "This field must not be empty.",
                    f"{l} is too short.",
                ),
            )
            error = c.text(fx, cy - t.pad + 2, e, t.small, t.error, fw) or None
            cy += t.px + 2
    checks = []
    for _ in range(r.randint(0, 2)):
        if cy + fh > y + h - fh * 2:
            break
        o, on = (
            pick(r, ("Remember me", "I agree to the terms", "Send me news", "Keep me signed in") + tuple(OPTION)),
            r.random() < 0.5,
        )
        c.box(x + m, cy + 2, t.px, t.px, t.accent if on else t.bg, t.muted)
        if on:
            c.d.line(
                (x + m + 2, cy + 2 + t.px // 2, x + m + t.px // 2, cy + t.px, x + m + t.px - 1, cy + 4), fill=t.accent_fg, width=2
            )
        o = c.text(x + m + t.px + 8, cy, o, t.font, t.fg, w - 2 * m - 30)
        if o:
            checks.append((o, on))
        cy += t.px + 10
    buttons = buttons_row(
        c,
        t,
        x + m,
        int(cy + 4),
        [pick(r, ("Sign in", "Log in"))]
        if login
        else r.sample(
            ("Submit", "Send", "Save", "Cancel", "Reset", "Register", "Continue", "Next", "Back", "OK", "Apply"), r.randint(1, 3)
        ),
    )
    say = "The fields are " + ", ".join(f'{l}: "{v}"' if v else l for l, v in fields) + "." if fields else ""
    qa = [("Which fields are there?", ", ".join(l for l, _ in fields))] if fields else []
    for l, v in fields[:3]:
        qa.append((f"What is in the field {l}?", v or "It is empty."))
    for o, on in checks:
        qa.append((f'Is "{o}" checked?', "Yes." if on else "No."))
    return Truth(
        kind="login form" if login else "form", title=shown, lines=inside(c, start), buttons=buttons, error=error, say=say, qa=qa
    )


def settings(c, t, rect):
    r = c.r
    sections = r.sample(SECTION, 9)
    active = sections[0]
    (x, y, w, h), shown = window(c, t, rect, pick(r, ("Settings", "Preferences", "Options", "System Settings", active)))
    if w > 300:
        sw = int(w * r.uniform(0.22, 0.32))
        c.box(x, y, sw, h, t.panel)
        order = sections[: max(1, min(9, int((h - 10) // (t.px + 14))))]
        r.shuffle(order)
        for i, s in enumerate(order):
            if s == active:
                c.box(x + 4, y + 4 + i * (t.px + 14), sw - 8, t.px + 10, t.accent, None, t.round)
            c.text(x + 14, y + 7 + i * (t.px + 14), s, t.font, t.accent_fg if s == active else t.fg, sw - 18)
        x += sw
        w -= sw
    start = len(c.items)
    c.text(x + 16, y + 8, active, t.big, t.fg, w - 24)
    cy = y + 10 + int(t.big.size * 1.7)
    opts = []
    for o in r.sample(OPTION, r.randint(2, 8)):
        if cy + t.px * 2.2 > y + h - t.px * 2.6:
            break
        on, sw2, sh = r.random() < 0.5, int(t.px * 2.2), int(t.px * 1.2)
        sx = x + w - sw2 - 16
        if not c.text(x + 16, cy, o, t.font, t.fg, w - sw2 - 44):
            break
        c.box(sx, cy, sw2, sh, t.accent if on else t.muted, None, sh // 2 - 1)
        kx = sx + sw2 - sh if on else sx
        c.d.ellipse((kx + 2, cy + 2, kx + sh - 2, cy + sh - 2), fill="white")
        opts.append((o, on))
        cy += int(t.px * r.uniform(1.9, 2.3))
    buttons = (
        buttons_row(
            c,
            t,
            x + 16,
            int(y + h - t.px - t.pad - 10),
            r.sample(("Apply", "Cancel", "OK", "Close", "Reset", "Restore defaults"), r.randint(1, 3)),
        )
        if r.random() < 0.5
        else []
    )
    say = f"The section is {active}. " + ", ".join(f"{o} is {'on' if on else 'off'}" for o, on in opts[:4]) + "."
    return Truth(
        kind="settings window",
        title=shown,
        lines=inside(c, start),
        buttons=buttons,
        say=say,
        qa=[("Which section is open?", active)]
        + [(f'Is "{o}" on?', "Yes." if on else "No.") for o, on in r.sample(opts, min(3, len(opts)))],
    )


def progress(c, t, rect):
    r = c.r
    head = pick(r, ("Installing", "Downloading", "Copying files", "Updating", "Loading", "Setup"))
    (x, y, w, h), shown = window(c, t, rect, pick(r, (head, head + " " + pick(r, assets().names)[:16], "Setup")))
    start, pct = len(c.items), r.randint(0, 100)
    cy = y + int(h * r.uniform(0.05, 0.3))
    what = c.text(
        x + 20,
        cy,
        fill(r, pick(r, ("Installing {name}...", "Downloading {file}", "Copying {file}", "Unpacking {name}", "Please wait..."))),
        t.font,
        t.fg,
        w - 40,
    )
    cy += int(t.px * 2)
    c.box(x + 20, cy, w - 40, t.px, t.panel, t.border)
    c.box(x + 20, cy, (w - 40) * pct / 100, t.px, t.accent)
    cy += int(t.px * 1.8)
    c.text(
        x + 20, cy, pick(r, (f"{pct}%", f"{pct} % complete", f"{pct}% - {r.randint(1, 59)} minutes left")), t.font, t.fg, w - 40
    )
    buttons = buttons_row(
        c, t, 0, int(cy + t.px * 2), r.sample(("Cancel", "Pause", "Hide", "Stop"), r.randint(1, 2)), right=x + w - 10
    )
    return Truth(
        kind="progress window",
        title=shown,
        lines=inside(c, start),
        buttons=buttons,
        say=f'It says "{what}".',
        now=[f"It is at {pct}%."],
        qa=[("How far is it?", f"{pct}%")],
    )


def player(c, t, rect):
    r = c.r
    (x, y, w, h), shown = window(c, t, rect, pick(r, ("Music", "Media Player", "Player")))
    start = len(c.items)
    s = min(int(h * 0.4), w // 3)
    c.box(x + 16, y + 12, s, s, tuple(r.randint(30, 220) for _ in range(3)))
    tx = x + s + 36
    song = c.text(tx, y + 16, title(r), t.big, t.fg, w - s - 50)
    by = c.text(tx, y + 22 + t.big.size * 1.4, person(r), t.font, t.muted, w - s - 50)
    cy = y + s + 26
    c.box(x + 16, cy, w - 32, 4, t.border)
    c.box(x + 16, cy, (w - 32) * r.random(), 4, t.accent)
    c.text(x + 16, cy + 10, f"{r.randint(0, 4)}:{r.randint(0, 59):02}", t.small, t.muted)
    buttons = (
        buttons_row(c, t, x + w // 4, cy + 12, ["Previous", pick(r, ("Play", "Pause")), "Next"], primary=1) if w > 300 else []
    )
    return Truth(
        kind="media player",
        title=shown,
        lines=inside(c, start),
        buttons=buttons,
        say=f'It plays "{song}" by {by}.',
        qa=[("What is playing?", song), ("Who is the artist?", by)] if song and by else [],
    )
