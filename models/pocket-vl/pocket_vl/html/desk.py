"""Programs of a desktop as pages: terminals, text editors, message boxes, several windows, as GTK and xterm show them."""

from .look import Spec, esc
from .parts import *
from ..commands import build, command


def bare(r, inner, name, size=None):
    """One window on a plain or patterned ground; its title in the bar."""
    w, h = size or (r.randint(48, 96), r.randint(50, 92))
    x, y = r.randint(0, 98 - w), r.randint(0, 96 - h)
    hue, light = r.randint(0, 359), r.randint(12, 70)
    ground = r.choice((f"hsl({hue} {r.randint(0, 50)}% {light}%)", f"linear-gradient({r.randint(0, 360)}deg,hsl({hue} 30% {light}%),hsl({hue} 40% {max(5, light - 12)}%))"))
    marks = r.choice(("✕", "— ▢ ✕", "_ □ ×", "▁ ✕", "▾ ▴ ×"))
    centre = "text-align:center" if r.random() < 0.5 else ""
    return f'<div style="position:absolute;inset:0;background:{ground}">{frame(name, inner, marks, centre, f"left:{x}%;top:{y}%;width:{w}%;height:{h}%")}</div>'


def frame(name, inner, marks, centre, place):
    bar = f'<div class="ttl"><b class="grow nowrap" style="{centre}">{esc(name)}</b><span data-x>{marks}</span></div>'
    return f'<div class="win" style="{place}">{bar}<div style="flex:1;min-height:0;display:flex;flex-direction:column;overflow:hidden">{inner}</div></div>'


def rows_of(r, text, style):
    """Rows of a terminal: at the top while they fit, else the last ones."""
    rows = "".join(f"<div>{esc(l) or '&nbsp;'}</div>" for l in text)
    outer = f"flex:1;min-height:0;display:flex;flex-direction:column-reverse;overflow:hidden;padding:4px 6px;{style}"
    return f'<div style="{outer}"><div class="mono" style="flex:none;margin-bottom:auto;white-space:pre;line-height:{r.choice((1.1, 1.2, 1.3))}">{rows}</div></div>'


def ground(r):
    if r.random() < 0.65:
        return f"background:{r.choice(('#000', '#111', '#1d1f21', '#300a24', '#002b36', '#282c34'))};color:{r.choice(('#fff', '#ddd', '#e5e5e5', '#bfe3bf', '#d3d7cf'))}"
    return f"background:{r.choice(('#fff', '#fdf6e3', '#f8f8f8'))};color:{r.choice(('#000', '#222', '#333'))}"


def session(r, most):
    """Commands with their output until about `most` rows: (rows, prompt, last command, its output, error or None)."""
    who, machine, where = user(r), stem(r)[:9], "~" + r.choice(("", "/" + stem(r)[:14]))
    prompt = r.choice((f"{who}@{machine}:{where}$ ", f"[{who}@{machine} {where}]$ ", "$ ", f"{where} > "))
    shown, error, last, out = [], None, "", []
    calm = r.random() < 0.5
    for _ in range(30):
        if r.random() < 0.3:
            cmd, got, err, _ = build(r, r.randint(3, 9))
        else:
            cmd, got, err = command(r)
        if (err and calm) or len(shown) + len(got) + 1 > most:
            if shown:
                break
            continue
        shown += [prompt + cmd] + [l.rstrip() for l in got]
        last, out, error = cmd, [l.strip() for l in got if l.strip()], err.strip() if err else error
    shown = shown or [prompt + "ls"]
    if r.random() < 0.8:
        shown.append(prompt.rstrip() + ("▮" if r.random() < 0.4 else ""))
    return shown, prompt, last, out, error, f"{who}@{machine}: {where}"


def terminal(r):
    shown, prompt, last, out, error, where = session(r, r.randint(5, 26))
    app = r.choice(("xterm", "Terminal", "Konsole", "UXTerm", "Terminal"))
    name = r.choice((where, app, f"{where} - {app}", where.split(": ")[-1]))
    menu = '<div class="bar small" style="padding:2px 8px" data-x>' + " ".join(f"<span>{m}</span>" for m in ("File", "Edit", "View", "Terminal", "Help")) + "</div>"
    inner = (menu if r.random() < 0.25 else "") + rows_of(r, shown, ground(r))
    new, more, err = command(r)
    added = "".join(f"<div>{esc(l)}</div>" for l in [new] + more)
    failed = bool(error and out and (out[-1] == error or error in out))
    text = f'The command "{new}" was run' + (f' and failed: "{err.strip()}"' if err else f'; the last line of output is "{more[-1].strip()}".' if more else ".")
    return Spec(
        kind="terminal",
        app=app,
        title=name,
        body=bare(r, inner, name),
        error=error,
        now=[f'The last command is "{last}".'] if last else [],
        main=out[::-1][:6] + [l for l in shown[::-1] if l.startswith(prompt) and l != prompt + last][:2],
        qa=[
            ("What is the last command?", last),
            ("Did the last command fail?", "Yes." if failed else "No."),
            ("What is the last line of output?", out[-1] if out else "There is none."),
            ("Which user is logged in?", where.split("@")[0]),
            ("In which folder is the terminal?", where.split(": ")[-1]),
        ],
        steps=[(f"document.querySelector('.mono').insertAdjacentHTML('beforeend',{added!r})", text)] if len(shown) < 16 else [],
    )


def notes(r):
    file, app = stem(r) + r.choice((".txt", ".txt", ".md", ".log", ".conf", "")), r.choice(("Mousepad", "Text Editor", "Notepad", "Gedit", "Leafpad", "Kate", "Pluma", "Editor", brand(r, ("Notes",))))
    if r.random() < 0.5:
        lines = [prose(r, 60) for _ in range(r.randint(2, 6))]
    else:
        lines = [title(r), r.choice(("", "-" * r.randint(5, 30), "=" * r.randint(5, 20)))] + [r.choice(("- ", "* ", "[ ] ", "")) + say(r, pick(r, TASK)) for _ in range(r.randint(2, 8))] + ["", prose(r, 70)]
    name = r.choice((f"{file} - {app}", f"~/{file} - {app}", f"*{file} - {app}", f"{file} – {app}"))
    menus = "".join(f"<span>{m}</span>" for m in ("File", "Edit", "Search", "View", "Document", "Help")[: r.randint(4, 6)])
    tool = "".join(f"<button>{b}</button>" for b in ("New", "Open", "Save", "Undo")) if r.random() < 0.3 else ""
    ln, col = r.randint(1, len(lines)), r.randint(1, 30)
    foot = f'<div class="bar small" style="padding:2px 8px">Ln {ln}, Col {col}</div>' if r.random() < 0.3 else ""
    mono = "mono" if r.random() < 0.6 else ""
    text = f'<div class="grow {mono}" id="text" style="padding:6px;overflow:hidden;white-space:pre-wrap;background:#fff;color:#111">' + "".join(f"<div>{esc(l) or '&nbsp;'}</div>" for l in lines) + "</div>"
    word = words(r, r.randint(1, 3))
    some = [l for l in lines if len(l) > 3 and len(set(l)) > 3]
    return Spec(
        kind="text editor",
        app=app,
        title=file if r.random() < 0.5 else name,
        body=bare(r, f'<div class="bar small" style="padding:2px 8px">{menus}</div>' + (f'<div class="bar" style="padding:3px">{tool}</div>' if tool else "") + text + foot, name),
        now=["The text is not saved."] if name[0] == "*" else [],
        main=some,
        qa=[("Which file is open?", file), ("What is the first line of text?", some[0] if some else ""), ("What is the last line of text?", some[-1] if some else "")],
        steps=[(f"text.insertAdjacentHTML('beforeend','<div>{esc(word)}</div>')", f'"{word}" was typed.')],
    )


def message(r):
    """A message box alone on the desktop."""
    from .page import DIALOG, fill

    sort = r.choice(("error", "error", "question", "information", "warning"))
    texts, heads, names = DIALOG["error" if sort == "warning" else sort]
    text, names = fill(r, pick(r, texts)), list(pick(r, names))
    head = "Warning" if sort == "warning" else r.choice((pick(r, heads), pick(r, heads), title(r)[:28], f"{pick(r, assets().words).capitalize()} failed" if sort == "error" else "Message"))
    more = prose(r, 70) if r.random() < 0.3 else ""
    mark = {"error": '<span class="err big">✖</span>', "question": '<span class="big">?</span>', "information": '<span class="big">ℹ</span>', "warning": '<span class="big">⚠</span>'}[sort]
    centre = "justify-content:" + r.choice(("flex-end", "center", "space-around"))
    inner = f'<div class="main"><div class="row">{mark if r.random() < 0.85 else ""}<div class="grow"><div>{esc(text)}</div><div class="muted">{esc(more)}</div></div></div></div><div class="row" style="{centre};padding:8px">{"".join(f"<button>{b}</button>" for b in names)}</div>'
    return Spec(
        kind=f"{sort} dialog",
        app="",
        title=head,
        body=bare(r, inner, head, (r.randint(38, 62), r.randint(28, 40))),
        error=text if sort in ("error", "warning") else None,
        ask=text if sort == "question" else None,
        main=([text] if sort == "information" else []) + [more],
        qa=[("What does the dialog say?", text), ("What is the title of the dialog?", head), ("Which buttons are there?", ", ".join(names) + ".")],
        steps=[("document.querySelector('.win').remove()", f'The dialog "{head}" was closed.')],
    )


def several(r):
    """A desktop with two to four windows, the last one in front."""
    n, parts = r.randint(2, 4), []
    spots = r.sample(((0, 0), (48, 2), (2, 50), (46, 46)), n)
    for x, y in spots:
        sort = r.choice(("terminal", "text editor", "clock", "calculator", "file manager"))
        if sort == "terminal":
            shown, _, last, out, _, where = session(r, r.randint(4, 10))
            inner, name, fact = rows_of(r, shown, ground(r)), r.choice((where, "xterm")), ("What is the last command?", last)
        elif sort == "text editor":
            file, lines = stem(r) + ".txt", [say(r, pick(r, TASK)) for _ in range(r.randint(2, 6))]
            inner = '<div class="mono" style="padding:6px;background:#fff;color:#111;flex:1">' + "".join(f"<div>{esc(l)}</div>" for l in lines) + "</div>"
            name, fact = f"{file} - {r.choice(('Mousepad', 'Text Editor', 'Leafpad'))}", ("What is the first line of the text?", lines[0])
        elif sort == "clock":
            t = clock(r)[:5]
            inner, name, fact = f'<div style="font-size:3em;text-align:center;padding:8px">{t}</div>', r.choice(("Clock", "xclock")), ("What time does the clock show?", t)
        elif sort == "calculator":
            v = f"{r.randint(1, 9999) / r.choice((1, 1, 2, 10)):g}"
            keys = "".join(f"<button>{k}</button>" for k in "789/456*123-0.=+")
            inner = f'<div class="big" style="text-align:right;padding:4px">{v}</div><div class="grid" style="grid-template-columns:repeat(4,1fr);padding:4px;gap:3px">{keys}</div>'
            name, fact = r.choice(("Calculator", "galculator", "KCalc")), ("What value does the calculator show?", v)
        else:
            where, some = path(r), [filename(r) for _ in range(r.randint(3, 6))]
            inner = f'<div class="bar small">{esc(where)}</div><div class="main">' + "".join(f"<div>{esc(f)}</div>" for f in some) + "</div>"
            name, fact = r.choice((where, "Files")), ("Which folder is open?", where)
        w, h = r.randint(36, 48), r.randint(36, 50)
        parts.append((sort, name, frame(name, inner, "✕", "", f"left:{x + r.randint(0, 4)}%;top:{y}%;width:{w}%;height:{h}%"), fact))
    number, (sort, name, _, _) = {2: "two", 3: "three", 4: "four"}[n], parts[-1]
    hue = r.randint(0, 359)
    return Spec(
        kind=f"desktop with {number} windows",
        app="",
        title=name,
        body=f'<div style="position:absolute;inset:0;background:hsl({hue} {r.randint(0, 50)}% {r.randint(10, 60)}%)">' + "".join(p[2] for p in parts) + "</div>",
        main=[],
        now=["There is " + ", ".join(f'a {s} "{nm}"' for s, nm, _, _ in parts) + "."],
        qa=[p[3] for p in parts] + [("How many windows are open?", str(n)), ("Which windows are there?", ", ".join(p[1] for p in parts))],
    )


PAGES = [(terminal, 22), (notes, 11), (message, 10), (several, 8)]
