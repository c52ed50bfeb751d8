"""Everyday programs as pages: sign-in, forms, chat, settings, calendars, lists, mail, films, music."""

import calendar as month_of

from .look import Spec, esc
from .parts import *

INPUT = "let e=document.querySelector('{q}');e.focus();e.value={v};"


def login(r):
    app, head = (
        brand(r, ("Mail", "Portal", "Cloud", "Bank")),
        pick(r, ("Sign in", "Log in", "Welcome back", "Login", "Sign in to continue")),
    )
    labels = r.choice((("Email", "Password"), ("User name", "Password"), ("Email address", "Password")))
    value = host(r).replace("www.", user(r) + "@") if "mail" in labels[0] else user(r)
    value = value if "@" in value or "mail" not in labels[0] else user(r) + "@" + host(r)[-11:].strip(".")
    error = say(r, pick(r, LOGIN_WRONG)) if r.random() < 0.5 else None
    inline = error and r.random() < 0.4
    focus = r.choice((None, 0, 1))
    fields = field(r, labels[0], value if r.random() < 0.7 or error else "", focus=focus == 0) + field(
        r,
        labels[1],
        "x" * r.randint(5, 12) if error or r.random() < 0.4 else "",
        "password",
        error if inline else None,
        focus=focus == 1,
    )
    names = [pick(r, ("Sign in", "Log in", "Continue", "Next"))] + r.sample(
        ("Register", "Cancel", "Use a passkey"), r.randint(0, 1)
    )
    remember, on = pick(r, ("Remember me", "Keep me signed in", "Stay signed in")), r.random() < 0.5
    box = f'<div class="errbox" style="margin-bottom:.8em">{esc(error)}</div>' if error and not inline else ""
    forgot = pick(r, ("Forgot your password?", "Forgot password?", "Need help?"))
    card = f'<div class="card" style="width:{r.randint(320, 440)}px;max-width:95%"><h3>{esc(app)}</h3><h1>{head}</h1>{box}{fields}<div class="row"><span class="ck {"yes" if on else ""}">{"✓" if on else ""}</span> {remember}</div><p></p>{buttons(r, names)}<p><a>{forgot}</a></p></div>'
    body = f'<div style="display:flex;height:100%;align-items:center;justify-content:{r.choice(("center", "center", "flex-start", "flex-end"))}">{card}</div>'
    return Spec(
        kind="login page",
        app=app,
        title=head,
        body=body,
        error=error,
        now=[f"The field {labels[focus]} has the focus."] if focus is not None else [],
        main=[value, remember, forgot],
        qa=[
            (f'Is "{remember}" checked?', "Yes." if on else "No."),
            ("What is the error message?", error or "There is none."),
            (f"What is in the field {labels[0]}?", value),
            ("Which fields are there?", ", ".join(labels)),
            ("Which field has the focus?", labels[focus] if focus is not None else "None."),
            (f"Which {labels[0].lower()} is filled in?", value),
            ("How many attempts are left?", (re.findall(r"(\d+) attempts", error or "") or ["It does not say."])[0]),
        ],
    )


def form(r):
    app, head = (
        brand(r, ("Portal", "Registry", "Clinic", "Events")),
        pick(
            r,
            (
                "Create account",
                "Registration",
                "Contact us",
                "Delivery address",
                "Edit profile",
                "Payment details",
                "Book an appointment",
                "Feedback",
                "New customer",
            ),
        ),
    )
    labels = r.sample(LABEL, r.randint(3, 7))
    bad = r.sample(labels, r.choice((0, 0, 0, 1, 1, 2)))
    why = {l: pick(r, WRONG).replace("{l}", l if r.random() < 0.7 else l.lower()) for l in bad}
    why = {l: w[0].upper() + w[1:] for l, w in why.items()}
    focus = pick(r, labels) if r.random() < 0.4 else None
    values = {
        l: (
            ""
            if l in bad and "required" in why[l]
            else date(r)
            if "date" in l.lower()
            else user(r) + "@" + host(r)[-11:].strip(".")
            if "mail" in l
            else person(r)
            if "ame" in l
            else words(r, r.randint(1, 2))
        )
        if r.random() < 0.7
        else ""
        for l in labels
    }
    above = r.random() < 0.6
    names = [pick(r, ("Submit", "Save", "Send", "Continue", "Create account"))] + r.sample(
        ("Cancel", "Back", "Reset"), r.randint(0, 2)
    )
    check, on = pick(r, ("I agree to the terms", "Send me news", "Same as billing address")), r.random() < 0.5
    step = f"Step {r.randint(1, 3)} of {r.randint(3, 5)}" if r.random() < 0.3 else ""
    body = (
        topbar(r, app, ("Home", "Help") if r.random() < 0.5 else ())
        + f'<div class="main"><h1>{head}</h1><p class="muted">{step}</p>'
        + "".join(field(r, l, values[l], "text", why.get(l), above, l == focus) for l in labels)
    )
    body += f'<div class="row"><span class="ck {"yes" if on else ""}">{"✓" if on else ""}</span> {check}</div><p></p>{buttons(r, names, off=names[-1] if len(names) > 1 and r.random() < 0.2 else None)}</div>'
    fill_in = next((l for l in labels if not values[l]), None)
    word = words(r, 1)
    steps = (
        [(INPUT.format(q="#f" + re.sub(r"\W", "", fill_in), v=repr(word)), f'"{word}" was typed into the field {fill_in}.')]
        if fill_in
        else []
    )
    return Spec(
        kind="form",
        app=app,
        title=head,
        body=body,
        error=why[bad[0]] if bad else None,
        now=[f"The field {focus} has the focus."] if focus else [],
        main=[f"{l}: {v}" for l, v in values.items() if v][:3] + labels,
        steps=steps,
        qa=[
            ("Which field is wrong?", ", ".join(bad) or "None."),
            ("What is the error message?", why[bad[0]] if bad else "There is none."),
            (f'Is "{check}" checked?', "Yes." if on else "No."),
        ]
        + [(f"What is in the field {l}?", v or "It is empty.") for l, v in list(values.items())[:3]],
    )


def chat(r):
    app, who = brand(r, ("Chat", "Messenger", "Talk", "Teams")), r.choice((person(r), "#" + pick(r, assets().words).lower()))
    people = [who] + [r.choice((person(r), "#" + pick(r, assets().words).lower())) for _ in range(r.randint(2, 8))]
    msgs = [
        (r.choice(("You", who if who[0] != "#" else person(r))), prose(r, r.randint(10, 100)), clock(r)[:5])
        for _ in range(r.randint(2, 8))
    ]
    draft = prose(r, 30) if r.random() < 0.3 else ""
    unread = {p: r.randint(1, 20) for p in people[1:] if r.random() < 0.3}
    writes = f"{pick(r, people).strip('#')} is typing..." if r.random() < 0.25 else ""
    failed = r.random() < 0.12
    err = pick(r, ("Message not sent.", "Not delivered. Try again.", "Connection lost. Reconnecting...")) if failed else None
    bubbles = r.random() < 0.6
    log = "".join(
        f'<div style="margin:.35em 0;{"text-align:right" if w == "You" and bubbles else ""}"><b class="small">{esc(w)}</b> <span class="muted small">{t}</span><br><span class="{"badge" if bubbles else ""}" style="font-size:1em">{esc(m)}</span></div>'
        for w, m, t in msgs
    )
    body = (
        f'<div class="fill">{nav(r, [f"{p} ({unread[p]})" if p in unread else p for p in people], who, width=r.randint(150, 240))}<div class="col grow"><div class="bar"><b>{esc(who)}</b><span class="grow"></span><span class="muted small">{esc(app)}</span></div><div class="main" style="flex:1;display:flex;flex-direction:column;justify-content:flex-end" id="log">{log}'
        + (f'<div class="err">{err}</div>' if err else "")
        + f'<div class="muted small">{esc(writes)}</div>'
    )
    body += f'</div><div class="bar"><input class="grow" id="say" value="{esc(draft)}" placeholder="Type a message"><button class="primary">Send</button></div></div></div>'
    last, new = msgs[-1], prose(r, 50)
    new_who = who if who[0] != "#" else person(r)
    return Spec(
        kind="chat",
        app=app,
        title=who,
        body=body,
        error=err,
        main=[f"{w}: {m}" for w, m, _ in msgs[::-1][:3]] + [last[1]],
        now=[f"The chat is with {who}."] + ([f'"{draft}" is typed but not sent.'] if draft else [])
        + ([writes.rstrip(".") + "."] if writes else []),
        qa=[
            ("Who is the chat with?", who),
            ("What is the last message?", last[1]),
            ("Who wrote the last message?", last[0]),
            ("When was the last message sent?", last[2]),
            *((f"How many unread messages does {p} have?", str(n)) for p, n in unread.items()),
            *((f"What did {w} write at {t}?", m) for w, m, t in msgs[-3:]),
        ],
        steps=[
            (
                f"let d=document.createElement('div');d.textContent={(new_who + ': ' + new)!r};log.append(d)",
                f'A new message from {new_who}: "{new}".',
            )
        ],
    )


def settings(r):
    app, sections = (
        r.choice(("Settings", "Preferences", "System Settings", "Options", brand(r) + " settings")),
        r.sample(SECTION, r.randint(5, 9)),
    )
    on = pick(r, sections)
    opts = [(o, r.random() < 0.5) for o in r.sample(OPTION, r.randint(3, 7))]
    style = r.choice(("sw", "ck"))
    chosen, lab = r.choice(
        (
            ("Light", "Theme"),
            ("Dark", "Theme"),
            ("1920 x 1080", "Resolution"),
            ("English", "Language"),
            ("100 %", "Scale"),
            ("150 %", "Scale"),
            ("Medium", "Text size"),
        )
    )
    names = r.sample(("Apply", "Cancel", "OK", "Reset", "Restore defaults"), r.randint(0, 3))
    vol = r.randint(0, 100)
    ask, left = pick(r, ("Keep these changes?", "Keep this display setting?", "Save the changes?", "Apply the new settings?")), r.randint(3, 29)
    asks = f"{ask} Reverting in {left} seconds." if r.random() < 0.5 else ask
    wait = r.random() < 0.2
    if wait:
        names = list(r.choice((("Keep changes", "Revert"), ("Keep", "Undo"), ("Yes", "No"))))
    rows = "".join(
        f'<div class="row card" style="margin-bottom:.35em"><span class="grow">{o}</span><span class="{style} {"yes" if v else ""}">{"✓" if v and style == "ck" else ""}</span></div>'
        for o, v in opts
    )
    rows += f'<div class="row card"><span class="grow">{lab}</span><select><option>{chosen}</option></select></div><div class="row"><span>Volume</span><input type="range" value="{vol}"><span>{vol}%</span></div>' + (f'<div class="row card">{asks}</div>' if wait else "")
    body = (
        (topbar(r, app, (), "") if r.random() < 0.7 else "")
        + f'<div class="fill">{nav(r, sections, on, width=r.randint(150, 240))}<div class="main"><h1>{on}</h1>{rows}<p></p>{buttons(r, names)}</div></div>'
    )
    first = opts[0]
    return Spec(
        kind="settings window",
        app=app,
        title=on,
        body=body,
        main=[f"{lab}: {chosen}"] + [f"{o} is {'on' if v else 'off'}" for o, v in opts[:5]],
        now=[],
        ask=asks if wait else None,
        qa=[("Which section is open?", on), (f"What is the {lab.lower()}?", chosen), ("What is the volume?", f"{vol}%"), (f"Which {lab.lower()} is chosen?", chosen)]
        + ([("In how many seconds do the settings revert?", str(left))] if wait and asks != ask else [])
        + [(f'Is "{o}" on?', "Yes." if v else "No.") for o, v in opts[:4]],
        steps=[
            (
                f"document.querySelector('.{style}').classList.toggle('yes')",
                f'"{first[0]}" was turned {"off" if first[1] else "on"}.',
            )
        ],
    )


def video(r):
    app, head, who = brand(r, ("Tube", "Video", "Play", "Watch")), title(r), r.choice((brand(r), person(r)))
    t, d = f"{r.randint(0, 9)}:{r.randint(0, 59):02}", f"{r.randint(10, 59)}:{r.randint(0, 59):02}"
    play = r.random() < 0.5
    views = f"{r.randint(1, 999)},{r.randint(100, 999)} views"
    more = [(title(r), f"{r.randint(1, 20)}:{r.randint(0, 59):02}") for _ in range(r.randint(3, 6))]
    cap = prose(r, 60) if r.random() < 0.4 else ""
    bar = f'<div style="position:absolute;left:0;right:0;bottom:0;background:#000a;color:#fff;padding:6px"><div class="prog"><i style="width:{r.randint(3, 97)}%"></i></div><div class="row">{"❚❚" if play else "▶"}<span>{t} / {d}</span></div></div>'
    body = (
        topbar(r, app, (), '<input placeholder="Search">')
        + f'<div class="fill"><div class="main" style="flex:2.4"><div class="pic" style="position:relative;height:56%;background-color:#111">{bar}<div style="position:absolute;bottom:70px;width:100%;text-align:center;color:#fff;text-shadow:0 0 4px #000">{esc(cap)}</div></div><h2>{esc(head)}</h2><div class="row"><b>{esc(who)}</b><button class="primary">Subscribe</button><span class="muted">{views}</span></div></div><div class="main">'
        + "".join(
            f'<div class="row" style="margin-bottom:.5em"><span class="pic" style="width:90px;height:52px;flex:none"></span><div><div class="small">{esc(a)}</div><span class="muted small">{b}</span></div></div>'
            for a, b in more
        )
        + "</div></div>"
    )
    return Spec(
        kind="video player",
        app=app,
        title=head,
        body=body,
        now=[f"It is {'playing' if play else 'paused'} at {t} of {d}."],
        main=[who, views] + ([cap] if cap else []) + [m[0] for m in more[:2]],
        qa=[
            ("How long is the video?", d),
            ("Is the video playing or paused?", "Playing." if play else "Paused."),
            ("Is the video paused?", "No." if play else "Yes."),
            *([("What does the subtitle say?", cap)] if cap else []),
            ("What time is the video at?", t),
            ("Who published it?", who),
            ("How many views are there?", views.split()[0]),
            ("Which video comes next?", more[0][0]),
        ],
    )


def month(r):
    app, y, m = brand(r, ("Calendar", "Planner", "Agenda")), r.randint(2020, 2032), r.randint(1, 12)
    head = f"{MONTH[m - 1]} {y}"
    days = month_of.Calendar(0).monthdayscalendar(y, m)
    dates = [d for w in days for d in w if d]
    events = {
        d: (say(r, pick(r, EVENT)), f"{r.randint(7, 20):02}:{r.choice(('00', '15', '30'))}")
        for d in r.sample(dates, r.randint(2, 8))
    }
    today = pick(r, dates)
    cells = "".join(f"<th>{d[:3]}</th>" for d in DAYS) + "</tr>"
    h = r.randint(50, 110)
    for w in days:
        cells += (
            "<tr>"
            + "".join(
                f'<td style="height:{h}px;vertical-align:top;white-space:normal;overflow:hidden" class="{"on" if d == today else ""}">{d or ""}'
                + (
                    f'<div class="badge small" style="white-space:normal">{events[d][1]} {esc(events[d][0])}</div>'
                    if d in events
                    else ""
                )
                + "</td>"
                for d in w
            )
            + "</tr>"
        )
    view = pick(r, ("Month", "Month", "Agenda"))
    body = (
        topbar(
            r,
            app,
            (),
            "".join(f'<span class="tab {"on" if v == view else ""}">{v}</span>' for v in ("Day", "Week", "Month", "Agenda")),
        )
        + f'<div class="main"><div class="row"><h1>{head}</h1><button>Today</button><button class="primary">New event</button></div>'
    )
    listed = sorted(events)
    if view == "Agenda":
        body += (
            "".join(
                f'<div class="card row" style="margin-bottom:.4em"><b style="width:8em">{d} {MONTH[m - 1]}</b><span>{events[d][1]}</span><span>{esc(events[d][0])}</span></div>'
                for d in listed
            )
            + "</div>"
        )
    else:
        body += f'<table style="table-layout:fixed"><tr>{cells}</table></div>'
    return Spec(
        kind="calendar",
        app=app,
        title=head,
        body=body,
        main=[f"{events[d][1]} {events[d][0]}" for d in listed[:5]],
        now=[f"The day {today} is marked."] if view == "Month" else [],
        qa=[("Which month is shown?", head), ("How many events are there?", str(len(events)))]
        + [(f"What happens on {MONTH[m - 1]} {d}?", events[d][0]) for d in listed[:3]]
        + [(f'When is "{events[d][0]}"?', f"{MONTH[m - 1]} {d} at {events[d][1]}") for d in listed[:2]]
        + [(f'At what time is "{events[d][0]}"?', events[d][1]) for d in listed[:3]]
        + ([("Which day is marked?", str(today)), ("What is planned for the marked day?", events[today][0] if today in events else "Nothing.")] if view == "Month" else []),
    )


def todo(r):
    app, head = (
        brand(r, ("Tasks", "To-do", "Lists", "Notes")),
        pick(r, ("Today", "My tasks", "To do", "Shopping", "This week", "Inbox", title(r)[:24])),
    )
    tasks = [(say(r, pick(r, TASK)), r.random() < 0.35) for _ in range(r.randint(3, 10))]
    left = sum(not d for _, d in tasks)
    due = {t: pick(r, ("Today", "Tomorrow", "Overdue", date(r), f"Today {clock(r)[:5]}", "overdue by 2 days")) for t, d in tasks if not d and r.random() < 0.3}
    late = [t for t in due if "verdue" in due[t]]
    lists = r.sample(("Today", "Upcoming", "Work", "Home", "Shopping", "Done", "Someday", "Travel"), r.randint(3, 6))
    items = "".join(
        f'<div class="row {"card" if k else ""}" style="margin-bottom:.4em"><span class="ck {"yes" if d else ""}">{"✓" if d else ""}</span><span style="{"text-decoration:line-through;opacity:.7" if d else ""}">{esc(t)}</span><span class="{"err" if t in late else "muted"} small">{due.get(t, "")}</span></div>'
        for k in [r.random() < 0.5]
        for t, d in tasks
    )
    left_text = f"{left} left" if left != 1 else "1 left"
    new = say(r, pick(r, TASK))
    body = (
        topbar(r, app)
        + f'<div class="fill">{nav(r, lists, lists[0], width=160) if r.random() < 0.6 else ""}<div class="main"><h1>{esc(head)}</h1><div class="row"><input placeholder="Add a task" class="grow"><button class="primary">Add</button></div><p></p><div id="list">{items}</div><p class="muted">{left_text}</p></div></div>'
    )
    return Spec(
        kind="to-do list",
        app=app,
        title=head,
        body=body,
        main=[f"{t}{', done' if d else ''}" for t, d in tasks[:5]] + [left_text],
        now=[f"{left} of {len(tasks)} tasks are open."] + [f'"{t}" is overdue.' for t in late[:1]],
        qa=[
            ("How many tasks are open?", str(left)),
            ("How many tasks are done?", str(len(tasks) - left)),
            ("How many tasks are there?", str(len(tasks))),
            ("What is the first task?", tasks[0][0]),
            ("Which task is overdue?", ", ".join(late) or "None."),
            *((f'When is "{t}" due?', when) for t, when in due.items()),
        ]
        + [(f'Is "{t}" done?', "Yes." if d else "No.") for t, d in tasks[:3]],
        steps=[
            (
                f"let d=document.createElement('div');d.textContent={new!r};document.querySelector('#list').append(d)",
                f'The task "{new}" was added.',
            ),
            (
                "document.querySelector('#list .ck').classList.toggle('yes')",
                f'The task "{tasks[0][0]}" was {"reopened" if tasks[0][1] else "ticked off"}.',
            ),
        ],
    )


def mail(r):
    app, box = brand(r, ("Mail", "Post")), pick(r, ("Inbox", "Inbox", "Sent", "Archive"))
    rows = [(person(r), title(r), prose(r, 60), clock(r)[:5]) for _ in range(r.randint(3, 10))]
    k = r.randrange(min(4, len(rows)))
    text = [paragraph(r, r.randint(1, 3)) for _ in range(3)]
    unread = r.randint(0, 30)
    folders = [f"Inbox {unread}" if unread else "Inbox", "Sent", "Drafts", "Spam", "Trash", "Archive"]
    lst = "".join(
        f'<div class="{"on" if i == k else ""}" style="padding:5px 8px;border-bottom:1px solid #8884"><div class="row"><b class="grow nowrap">{esc(a)}</b><span class="muted small">{t}</span></div><div class="nowrap">{esc(s)}</div></div>'
        for i, (a, s, _, t) in enumerate(rows)
    )
    error = (
        pick(r, ("Message could not be sent.", "Cannot connect to the mail server.", "Delivery failed."))
        if r.random() < 0.12
        else None
    )
    body = topbar(r, app, (), "".join(f"<button>{b}</button>" for b in ("Reply", "Forward", "Delete"))) + (
        f'<div class="errbox">{error}</div>' if error else ""
    )
    body += (
        f'<div class="fill">{nav(r, folders, folders[0], width=130)}<div style="width:{r.randint(220, 320)}px;overflow:hidden">{lst}</div><div class="main prose"><h2>{esc(rows[k][1])}</h2><p class="muted">From: {esc(rows[k][0])}</p>'
        + "".join(f"<p>{esc(t)}</p>" for t in text)
        + "</div></div>"
    )
    return Spec(
        kind="mail program",
        app=app,
        title=box if r.random() < 0 else rows[k][1],
        body=body,
        error=error,
        main=[f"From: {rows[k][0]}", text[0]] + [f"{a}: {s}" for a, s, _, _ in rows[:2]],
        now=[f"{unread} messages are unread."] if unread else [],
        qa=[
            ("Who is the message from?", rows[k][0]),
            ("What is the subject?", rows[k][1]),
            ("How many unread messages are there?", str(unread)),
            ("Who sent the first message?", rows[0][0]),
        ],
    )


def music(r):
    app, song, who = brand(r, ("Music", "Player", "Radio")), title(r)[:40], r.choice((person(r), brand(r)))
    t, d = f"{r.randint(0, 2)}:{r.randint(0, 59):02}", f"{r.randint(3, 7)}:{r.randint(0, 59):02}"
    rows = [(title(r)[:36], person(r), f"{r.randint(2, 6)}:{r.randint(0, 59):02}") for _ in range(r.randint(3, 8))]
    rows[r.randrange(len(rows))] = (song, who, d)
    body = (
        topbar(r, app, ("Library", "Playlists"))
        + f'<div class="main">{table(("Title", "Artist", "Length"), rows, rows.index((song, who, d)))}</div><div class="bar" style="position:fixed;bottom:0;left:0;right:0"><span class="pic" style="width:48px;height:48px"></span><div><b>{esc(song)}</b><div class="muted">{esc(who)}</div></div><span class="grow"></span><button>Pause</button><span>{t} / {d}</span></div>'
    )
    return Spec(
        kind="music player",
        app=app,
        title=song,
        body=body,
        main=[who, f"{t} / {d}"] + [x[0] for x in rows[:2]],
        qa=[("What is playing?", song), ("Who is the artist?", who), ("How long is the song?", d)],
    )


def calculator(r):
    app = pick(r, ("Calculator", "Calc", brand(r, ("Calculator",))))
    a, b, op = r.randint(1, 999), r.randint(1, 99), r.choice("+-×÷")
    v = {"+": a + b, "-": a - b, "×": a * b, "÷": round(a / b, 4)}[op]
    err = r.choice((None, None, None, None, "Division by zero", "Error", "Malformed expression"))
    show, keys = (
        err or f"{v:g}" if not isinstance(v, int) or err else str(v),
        r.choice(("789÷456×123-0.=+", "C()÷789×456-123+0.±=")),
    )
    expr = f"{a} {op} {b}" + ("" if r.random() < 0.5 else " =")
    w = r.randint(220, 340)
    body = (
        f'<div class="win" style="left:{r.randint(20, 300)}px;top:{r.randint(5, 60)}px;width:{w}px"><div class="ttl"><b class="grow">{esc(app)}</b>✕</div><div style="text-align:right;padding:8px"><div class="muted">{expr}</div><div class="big">{show}</div></div><div class="grid" style="grid-template-columns:repeat(4,1fr);padding:8px">'
        + "".join(f'<button style="padding:{r.randint(4, 10)}px 0">{k}</button>' for k in keys)
        + "</div></div>"
    )
    return Spec(
        kind="calculator",
        app=app,
        title=app,
        body=body,
        error=err,
        main=[show, expr],
        now=[f'The display shows "{show}".'],
        qa=[("What does the display show?", show), ("What was calculated?", expr), ("What is the result?", show)]
        + [(f"Is there a {k} key?", "Yes." if k in keys else "No.") for k in r.sample("±()√π%7.", 2)],
    )


PAGES = [
    (login, 6),
    (form, 7),
    (chat, 5),
    (settings, 6),
    (video, 5),
    (month, 5),
    (todo, 6),
    (mail, 4),
    (music, 2),
    (calculator, 5),
]
