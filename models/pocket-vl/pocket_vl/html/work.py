"""Programs of work as pages: editors, sheets, dashboards, tables, files, monitors, readers, installers."""

from .look import Spec, esc
from .parts import *

LANGUAGE = dict(py="Python", rs="Rust", c="C", js="JavaScript", ts="TypeScript", go="Go", java="Java", css="CSS", toml="TOML")
INPUT = "let e=document.querySelector('{q}');e.focus();e.value={v};"


def dashboard(r):
    app, head = (
        brand(r, ("Analytics", "Monitor", "Insights", "Admin", "Console")),
        pick(r, ("Overview", "Dashboard", "Traffic", "Sales", "Servers", "Finance", "Usage")),
    )
    names = r.sample(
        (
            "Visitors",
            "Revenue",
            "Orders",
            "Errors",
            "Uptime",
            "CPU",
            "Memory",
            "Signups",
            "Downloads",
            "Bounce rate",
            "Requests",
            "Latency",
            "Open tickets",
        ),
        r.randint(3, 6),
    )
    cards = [(n, number(r), f"{r.choice('+-')}{r.randint(1, 40)}%") for n in names]
    side = r.sample(("Overview", "Reports", "Users", "Settings", "Billing", "Alerts", "Logs", "Teams"), r.randint(4, 7))
    rows = [
        (pick(r, (stem, host, person))(r), number(r), r.choice(("Active", "Idle", "Paused", "New")))
        for _ in range(r.randint(2, 6))
    ]
    error = (
        pick(
            r,
            (
                "Could not load the data.",
                f"{rows[0][0]} is not responding.",
                "Disk is almost full on " + stem(r),
                "3 servers are unreachable",
                "Payment failed for " + brand(r),
            ),
        )
        if r.random() < 0.3
        else None
    )
    bars = [r.randint(10, 100) for _ in range(r.randint(5, 14))]
    chart = pick(r, ("Visitors per day", "Revenue by month", "Requests per second", "Load", "Orders per week"))
    if r.random() < 0.5:
        svg = "".join(
            f'<rect x="{i * 30}" y="{100 - b}" width="22" height="{b}" fill="currentColor"/>' for i, b in enumerate(bars)
        )
    else:
        svg = f'<polyline fill="none" stroke="currentColor" stroke-width="3" points="{" ".join(f"{i * 30},{100 - b}" for i, b in enumerate(bars))}"/>'
    body = (
        topbar(r, app, (), person(r))
        + '<div class="fill">'
        + (nav(r, side, side[0], width=170) if r.random() < 0.7 else "")
        + f'<div class="main"><h1>{head}</h1>'
        + (f'<div class="errbox">{esc(error)}</div><p></p>' if error else "")
    )
    body += f'<div class="grid" style="grid-template-columns:repeat({r.randint(2, len(cards))},1fr)">' + "".join(
        f'<div class="card"><div class="muted small">{n}</div><div class="big">{esc(v)}</div><div class="small {"good" if d[0] == "+" else "err"}">{d}</div></div>'
        for n, v, d in cards
    )
    body += f'</div><div class="card" style="margin-top:1em"><b>{chart}</b><br><svg viewBox="0 0 {len(bars) * 30} 104" height="{r.randint(70, 180)}" class="link">{svg}</svg></div>{table(("Name", "Value", "Status"), rows)}</div></div>'
    return Spec(
        kind="dashboard",
        app=app,
        title=head,
        body=body,
        error=error,
        main=[f"{n} {v}" for n, v, _ in cards[:4]] + [chart],
        qa=[(f"What is the value of {n}?", v) for n, v, _ in cards[:4]]
        + [(f"How did {n} change?", d) for n, _, d in cards[:2]]
        + [("What does the chart show?", chart)]
        + [q for n, v, s in rows[:3] for q in ((f"What is the status of {n}?", s), (f"What is the value of {n}?", v))],
    )


def editor(r):
    ext = pick(r, ("py", "rs", "c", "js", "ts", "go", "java", "css", "toml"))
    name, app = f"{stem(r)}.{ext}", brand(r, ("Code", "Studio", "IDE", "Editor"))
    tree = [filename(r) for _ in range(r.randint(4, 12))]
    tree[r.randrange(len(tree))] = name
    at = r.randint(0, len(assets().code) - 80)
    code = [assets().code[at + i] if r.random() < 0.88 else "" for i in range(r.randint(12, 40))]
    bad = r.random() < 0.4
    line = r.randrange(min(14, len(code)))
    code[line] = code[line] or "return value;"
    tok = pick(r, assets().words).lower()
    error = (
        pick(
            r,
            (
                f"cannot find value `{tok}` in this scope",
                f"'{tok}' is not defined",
                f"expected ';' before '{tok}'",
                f"undefined name '{tok}'",
                f"Type '{tok}' is not assignable to type 'string'",
                "mismatched types",
                f"'{tok}' undeclared (first use in this function)",
                "missing return statement",
                "unexpected indent",
            ),
        )
        if bad
        else None
    )
    kw = re.compile(
        r"\b(fn|def|let|const|return|if|else|for|while|import|from|class|struct|pub|use|int|void|var|new|self|static|match)\b"
    )
    col = [f"hsl({r.randint(0, 359)} 70% {r.randint(60, 75)}%)" for _ in range(2)]

    def paint(i, l):
        s = kw.sub(lambda m: f'<span style="color:{col[0]}">{m[0]}</span>', esc(l)) or "&nbsp;"
        return f'<span class="squig">{s}</span>' if bad and i == line else s

    dark = r.random() < 0.7
    style = "background:#1e1f26;color:#d8dae3" if dark else ""
    num = r.random() < 0.8
    rows = "".join(
        f'<div class="row" style="gap:1em">{f"<span data-x class=muted style=width:2em;text-align:right>{i + 1}</span>" if num else ""}<span style="white-space:pre">{paint(i, l)}</span></div>'
        for i, l in enumerate(code)
    )
    tabs = [name] + [filename(r) for _ in range(r.randint(0, 3))]
    ln, cl = (line + 1 if bad else r.randint(1, len(code))), r.randint(1, 60)
    status = f"Ln {ln}, Col {cl}"
    problems = (
        f'<div class="card"><div class="row"><span class="tab on">Problems {1 if bad else 0}</span><span class="tab">Output</span><span class="tab">Terminal</span></div>'
        + (
            f'<div class="err">{esc(f"{name}:{line + 1}: " if r.random() < 0.5 else "")}{esc(error)}</div>'
            if bad
            else '<div class="muted">No problems have been detected.</div>'
        )
        + "</div>"
    )
    body = '<div class="col" style="height:100%">' + (
        f'<div class="bar small">{"".join(f"<span>{m}</span>" for m in ("File", "Edit", "View", "Run", "Help"))}<span class="grow"></span>{esc(app)}</div>'
        if r.random() < 0.7
        else ""
    )
    body += (
        f'<div class="fill" style="flex:1;min-height:0">{nav(r, tree, name, width=r.randint(140, 230)) if r.random() < 0.75 else ""}<div class="col grow"><div class="row">'
        + "".join(f'<span class="tab {"on" if t == name else "muted"}">{esc(t)}</span>' for t in tabs)
    )
    body += f'</div><div class="mono grow" style="{style};padding:6px;overflow:hidden">{rows}</div>{problems if bad or r.random() < 0.3 else ""}</div></div><div class="brandbar bar small" style="padding:2px 8px">{status}<span class="grow"></span>UTF-8</div></div>'
    shown = [c.strip() for c in code if c.strip()]
    return Spec(
        kind="code editor",
        app=app,
        title=name,
        body=body,
        error=error,
        now=[f"The cursor is at {status}."],
        main=tabs[1:2] + shown[:4],
        qa=[
            ("Which file is open?", name),
            ("Which line is the cursor in?", str(ln)),
            ("Which problem is reported?", error or "None."),
            ("On which line is the error?", str(line + 1) if bad else "There is none."),
            ("What programming language is the file?", LANGUAGE[ext]),
            ("How many tabs are open?", str(len(tabs))),
            ("What is the first line of code?", shown[0]),
        ],
    )


def sheet(r):
    name = stem(r) + pick(r, (".xlsx", ".ods", ".csv"))
    app, cols, n = brand(r, ("Sheets", "Calc", "Tables")), r.randint(3, 7), r.randint(6, 18)
    head = r.sample(("Item", "Month", "Region", "Units", "Price", "Total", "Owner", "Date", "Tax", "Notes"), cols)
    make = {
        "Item": product,
        "Month": lambda r: pick(r, MONTH),
        "Region": lambda r: pick(r, CITY),
        "Owner": person,
        "Date": date,
        "Notes": lambda r: words(r, 2),
    }
    grid = [[str(make.get(h, number)(r)) for h in head] for _ in range(n)]
    if r.random() < 0.4:
        grid[-1] = ["Total"] + [number(r) for _ in head[1:]]
    si, sj = r.randrange(min(n, 8)), r.randrange(cols)
    ref, val = f"{'ABCDEFG'[sj]}{si + 2}", grid[si][sj]
    error = pick(r, ("#REF!", "#DIV/0!", "#VALUE!", "#NAME?")) if r.random() < 0.15 else None
    if error:
        grid[r.randrange(min(n, 8))][cols - 1] = error
        val = grid[si][sj]
    rows = (
        "<tr><th></th>"
        + "".join(f"<th>{'ABCDEFG'[j]}</th>" for j in range(cols))
        + "</tr><tr><th>1</th>"
        + "".join(f"<td><b>{h}</b></td>" for h in head)
        + "</tr>"
    )
    rows += "".join(
        f"<tr><th>{i + 2}</th>"
        + "".join(f'<td class="{"focus" if (i, j) == (si, sj) else ""}">{esc(v)}</td>' for j, v in enumerate(row))
        + "</tr>"
        for i, row in enumerate(grid)
    )
    tabs = r.sample(("Sheet1", "Sheet2", "Budget", "Data", "Summary"), r.randint(1, 3))
    body = (
        f'<div class="bar small"><b>{esc(name)}</b>'
        + "".join(f"<span>{m}</span>" for m in ("File", "Edit", "View", "Insert", "Format", "Data"))
        + f'<span class="grow"></span>{esc(app)}</div><div class="bar"><b>{ref}</b><input class="grow" value="{esc(val)}"></div><style>td,th{{border:1px solid #8886!important}}</style><table>{rows}</table><div class="row" style="position:fixed;bottom:0;left:0;right:0;background:inherit">'
        + "".join(f'<span class="tab {"on" if i == 0 else ""}">{t}</span>' for i, t in enumerate(tabs))
        + "</div>"
    )
    k = r.randrange(1, cols)
    return Spec(
        kind="spreadsheet",
        app=app,
        title=name,
        body=body,
        error=error,
        now=[f'The cell {ref} is selected and holds "{val}".'],
        main=[", ".join(head), ", ".join(grid[0]), ", ".join(grid[1])] + head,
        qa=[
            ("Which cell is selected?", ref),
            ("What is in the selected cell?", val),
            ("Which columns are there?", ", ".join(head)),
            (f"What is the {head[k]} in row 2?", grid[0][k]),
            ("What is in A2?", grid[0][0]),
            ("Which sheet is open?", tabs[0]),
            ("Which tab is active?", tabs[0]),
            *((f"What is in {'ABCDEFG'[j]}{i + 2}?", grid[i][j]) for i, j in [(r.randrange(min(n, 7)), r.randrange(cols)) for _ in range(2)]),
            *((f"What is the {head[j]} of {row[0]}?", row[j]) for row in grid[:3] for j in (r.randrange(1, cols),)),
            *([("What is the total?", grid[-1][-1])] if grid[-1][0] == "Total" else []),
        ],
    )


def kanban(r):
    app, head = brand(r, ("Board", "Projects")), title(r)[:30]
    cols = {
        c: [say(r, pick(r, TASK)) for _ in range(r.randint(1, 4))]
        for c in r.choice((("To do", "In progress", "Done"), ("Backlog", "Doing", "Review", "Done")))
    }
    body = (
        topbar(r, app, ("Board", "List", "Timeline"))
        + f'<div class="main"><h1>{esc(head)}</h1><div class="grid" style="grid-template-columns:repeat({len(cols)},1fr)">'
        + "".join(
            f'<div class="side"><b>{c}</b> <span class="muted">{len(v)}</span>'
            + "".join(f'<div class="card" style="white-space:normal;margin-top:.5em">{esc(t)}</div>' for t in v)
            + "</div>"
            for c, v in cols.items()
        )
        + "</div></div>"
    )
    first = list(cols)[0]
    return Spec(
        kind="task board",
        app=app,
        title=head,
        body=body,
        main=[f"{c}: {v[0]}" for c, v in cols.items()],
        qa=[
            ("Which columns are there?", ", ".join(cols)),
            (f"How many cards are in {first}?", str(len(cols[first]))),
            (f'In which column is "{cols[first][0]}"?', first),
        ],
    )


def files(r):
    app, where = r.choice(("Files", "File Manager", brand(r, ("Files", "Drive", "Explorer")))), path(r)
    rows = [(filename(r), size(r), date(r)) for _ in range(r.randint(3, 14))]
    k = r.randrange(len(rows)) if r.random() < 0.5 else None
    count = f"{len(rows)} items"
    side = r.sample(PLACE, 6)
    if r.random() < 0.5:
        main = table(("Name", "Size", "Modified"), rows, k)
    else:
        main = (
            '<div class="grid" style="grid-template-columns:repeat(auto-fill,120px)">'
            + "".join(
                f'<div class="{"sel" if i == k else ""}" style="text-align:center;padding:4px"><div class="pic" style="width:48px;height:40px;margin:auto"></div><div class="small" style="overflow-wrap:anywhere">{esc(n)}</div></div>'
                for i, (n, _, _) in enumerate(rows)
            )
            + "</div>"
        )
    body = f'<div class="bar"><button>←</button><button>→</button><input class="grow" value="{esc(where)}"></div><div class="fill">{nav(r, side, width=150)}<div class="main">{main}<p class="muted small">{count}</p></div></div>'
    return Spec(
        kind="file manager",
        app=app,
        title=where,
        body=body,
        main=[where] + [n for n, _, _ in rows[:6]],
        now=[f'"{rows[k][0]}" is selected.'] if k is not None else [],
        qa=[
            ("How many items are there?", str(len(rows))),
            ("Which folder is open?", where),
            ("Which file is selected?", rows[k][0] if k is not None else "None."),
            ("What is the first file?", rows[0][0]),
        ]
        + [(f"How big is {n}?", s) for n, s, _ in rows[:2]]
        + [(f"When was {n} changed?", d) for n, _, d in rows[:2]]
        + ([("How big is the selected file?", rows[k][1])] if k is not None else []),
    )


def monitor(r):
    app = r.choice(("System Monitor", "Task Manager", brand(r, ("Monitor",))))
    rows = sorted(
        (
            [pick(r, assets().names)[:22], str(r.randint(100, 39999)), f"{r.random() * 60:.1f}", f"{r.randint(1, 900)} MB"]
            for _ in range(r.randint(5, 16))
        ),
        key=lambda x: -float(x[2]),
    )
    cpu, mem = r.randint(1, 100), r.randint(5, 99)
    body = (
        topbar(r, app, ("Processes", "Performance", "Disks"))
        + f'<div class="main"><div class="row">CPU <div class="prog grow"><i style="width:{cpu}%"></i></div>{cpu}%</div><div class="row">Memory <div class="prog grow"><i style="width:{mem}%"></i></div>{mem}%</div><p></p>{table(("Name", "PID", "CPU %", "Memory"), rows, 0 if r.random() < 0.3 else None)}{buttons(r, ["End process"])}</div>'
    )
    return Spec(
        kind="system monitor",
        app=app,
        title="Processes",
        body=body,
        main=[f"CPU {cpu}%", f"Memory {mem}%"] + [x[0] for x in rows[:3]],
        qa=[
            ("How busy is the CPU?", f"{cpu}%"),
            ("How much memory is used?", f"{mem}%"),
            ("Which process uses the most CPU?", rows[0][0]),
            (f"What is the PID of {rows[0][0]}?", rows[0][1]),
        ],
    )


def installer(r):
    app, pct = pick(r, assets().names)[:20].capitalize(), r.randint(0, 100)
    head = pick(r, (f"Installing {app}", "Updating", "Copying files", "Downloading update", f"{app} Setup"))
    what = say(r, pick(r, ("Copying {f}", "Unpacking {f}", "Downloading {f}", "{n} minutes left", "Verifying {f}")))
    err = (
        pick(
            r,
            (
                "Installation failed: the disk is full.",
                "The download failed.",
                "Setup could not continue.",
                "Update error 0x80070002",
            ),
        )
        if r.random() < 0.25
        else None
    )
    names = ["Retry", "Cancel"] if err else r.sample(("Cancel", "Pause", "Hide", "Details"), 2)
    w = r.randint(380, 560)
    body = (
        f'<div class="win" style="left:{r.randint(10, 200)}px;top:{r.randint(10, 140)}px;width:{w}px"><div class="ttl"><b class="grow">{esc(head)}</b></div><div class="main"><p>{esc(what)}</p><div class="prog"><i id="bar" style="width:{pct}%"></i></div><p id="pct">{pct}%</p>'
        + (f'<p class="err">{err}</p>' if err else "")
        + f"{buttons(r, names)}</div></div>"
    )
    n = min(100, pct + r.randint(5, 50))
    return Spec(
        kind="progress window",
        app=app,
        title=head,
        body=body,
        error=err,
        now=[f"It is at {pct}%."],
        main=[what],
        qa=[("How far is it?", f"{pct}%"), ("What is it doing?", what), ("Did it fail?", "Yes." if err else "No.")],
        steps=[(f"bar.style.width='{n}%';pct.textContent='{n}%'", f"The progress went from {pct}% to {n}%.")] if n > pct else [],
    )


def reader(r):
    name, app = (
        stem(r) + pick(r, (".pdf", ".pdf", ".epub", ".djvu")),
        r.choice(("Document Viewer", "PDF Viewer", brand(r, ("Reader",)))),
    )
    n = r.randint(1, 90)
    page, head = f"{n} of {n + r.randint(0, 200)}", title(r)
    paras = [paragraph(r, r.randint(2, 5)) for _ in range(5)]
    body = (
        f'<div class="bar"><b>{esc(name)}</b><span class="grow"></span><span>{page}</span><span>{r.choice((75, 100, 125, 150))}%</span></div><div class="fill" style="justify-content:center;background:#777"><div class="prose" style="background:#fff;color:#111;width:{r.randint(60, 80)}%;padding:30px 40px;overflow:hidden;margin-top:12px"><h1>{esc(head)}</h1>'
        + "".join(f"<p>{esc(p)}</p>" for p in paras)
        + "</div></div>"
    )
    return Spec(
        kind="document viewer",
        app=app,
        title=name,
        body=body,
        main=[head, paras[0], paras[1]],
        now=[f"The page is {page}."],
        qa=[("Which page is shown?", page), ("Which document is open?", name), ("What is the heading?", head)],
    )


def users(r):
    app, head = (
        brand(r, ("Admin", "CRM", "Office", "Manager")),
        pick(r, ("Users", "Orders", "Invoices", "Customers", "Tickets", "Deployments", "Jobs", "Devices")),
    )
    states = r.choice(
        (
            ("Paid", "Open", "Overdue"),
            ("Active", "Disabled", "Invited"),
            ("Running", "Queued", "Failed"),
            ("Shipped", "Pending", "Returned"),
        )
    )
    rows = [(f"{r.randint(100, 99999)}", person(r), date(r), price(r), pick(r, states)) for _ in range(r.randint(3, 14))]
    cols = ("ID", "Name", "Date", "Amount", "Status")
    failed = next((x for x in rows if x[4] == "Failed"), None)
    shown = [
        (*x[:4], f'<span class="badge {"err" if x[4] in ("Failed", "Overdue", "Disabled") else ""}">{x[4]}</span>') for x in rows
    ]
    k = r.randrange(len(rows)) if r.random() < 0.3 else None
    names = r.sample(("New", "Export", "Filter", "Delete", "Refresh", "Edit"), 3)
    body = (
        topbar(r, app, ("Home", "Reports", "Help"), person(r))
        + f'<div class="main"><div class="row"><h1 class="grow">{head}</h1>{buttons(r, names)}</div>{table(cols, shown, k)}<p class="muted small">{len(rows)} rows</p></div>'
    )
    return Spec(
        kind="table",
        app=app,
        title=head,
        body=body,
        error=f"{failed[1]}: Failed" if failed and r.random() < 0 else None,
        main=[", ".join(cols)] + [f"{x[1]} {x[3]} {x[4]}" for x in rows[:3]],
        now=[f'The row "{rows[k][1]}" is selected.'] if k is not None else [],
        qa=[("How many rows are there?", str(len(rows))), ("Which columns are there?", ", ".join(cols))]
        + [q for x in rows[:3] for q in ((f"What is the status of {x[1]}?", x[4]), (f"What is the amount of {x[1]}?", x[3]))],
    )


PAGES = [(dashboard, 6), (editor, 7), (sheet, 5), (kanban, 2), (files, 6), (monitor, 3), (installer, 3), (reader, 4), (users, 4)]
