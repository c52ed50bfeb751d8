"""Pages of those who build: code hosting, build logs, issues, error pages, status."""

from .look import Spec, esc
from .parts import *


def repo(r):
    app, who, name = brand(r, ("Forge", "Git", "Hub")), user(r), stem(r)
    full = f"{who}/{name}"
    files = [(filename(r), pick(r, assets().titles)[:40], f"{r.randint(2, 28)} days ago") for _ in range(r.randint(4, 10))]
    stars, issues = r.randint(1, 990), r.randint(0, 90)
    text = prose(r)
    body = (
        topbar(r, app, ("Explore", "Issues", "Pull requests"))
        + f'<div class="main"><h2>{esc(full)}</h2><div class="row"><span class="tab on">Code</span><span class="tab">Issues {issues}</span><span class="tab">Pull requests</span><span class="tab">Settings</span><span class="grow"></span><button>Star {stars}</button><button class="primary">Clone</button></div>'
    )
    body += (
        table(("Name", "Last commit", "When"), files)
        + f'<div class="card prose"><h1>{esc(name)}</h1><p>{esc(text)}</p></div></div>'
    )
    return Spec(
        kind="code hosting page",
        app=app,
        title=full,
        body=body,
        main=[files[0][0], files[1][0], f"Issues {issues}", text],
        now=['The tab "Code" is open.'],
        qa=[
            ("How many stars are there?", str(stars)),
            ("How many issues are there?", str(issues)),
            ("What is the first file?", files[0][0]),
            ("What is the repository called?", full),
        ],
    )


def build_run(r):
    app, name = brand(r, ("CI", "Build", "Pipelines")), f"{stem(r)} #{r.randint(10, 9999)}"
    jobs = [
        (
            pick(r, ("build", "test", "lint", "deploy", "docs", "package")) + r.choice(("", "-linux", "-macos", "-release")),
            "passed",
        )
        for _ in range(r.randint(3, 6))
    ]
    bad = r.random() < 0.6
    if bad:
        i = r.randrange(len(jobs))
        jobs[i] = (jobs[i][0], "failed")
    from ..commands import command

    log, error = [], None
    for _ in range(60):
        c, out, e = command(r)
        if (e is not None) == bad or len(log) < 2:
            log += ["$ " + c] + out
            if e and bad:
                error = e.strip()
                break
        if len(log) > 9:
            break
    log = log[-14:]
    left = "".join(
        f'<div class="row">{"✗" if s == "failed" else "✓"} <span class="{"err" if s == "failed" else ""}">{esc(n)}</span></div>'
        for n, s in jobs
    )
    lines = "".join(f'<div class="{"err" if error and l.strip() == error else ""}">{esc(l) or "&nbsp;"}</div>' for l in log)
    state = "Failed" if bad else "Passed"
    dur = f"{r.randint(1, 14)} min {r.randint(1, 59)} s"
    body = (
        topbar(r, app, ("Builds", "Projects"))
        + f'<div class="main"><h1>{esc(name)} <span class="badge {"err" if bad else "good"}">{state}</span></h1><p class="muted">{dur} on branch {esc(pick(r, assets().words).lower())}</p></div><div class="fill"><div class="side" style="width:190px">{left}</div><pre class="grow">{lines}</pre></div>'
    )
    failed = next((n for n, s in jobs if s == "failed"), None)
    return Spec(
        kind="build log page",
        app=app,
        title=name,
        body=body,
        error=(f"{failed} failed" if failed and not error else error) if bad else None,
        main=[state, dur, log[-1].strip()],
        qa=[
            ("Did the build pass?", "No." if bad else "Yes."),
            ("Which job failed?", failed or "None."),
            ("How long did it take?", dur),
        ],
    )


def issue(r):
    app, head, num, who = brand(r, ("Tracker", "Issues", "Forge")), title(r), r.randint(2, 4000), user(r)
    state = pick(r, ("Open", "Closed", "Merged", "In progress"))
    says = [(user(r), paragraph(r, 2)) for _ in range(r.randint(1, 4))]
    labels = r.sample(("bug", "feature", "docs", "urgent", "help wanted", "design", "performance"), 2)
    body = (
        topbar(r, app, ("Code", "Issues", "Pull requests"))
        + f'<div class="main"><h1>{esc(head)} <span class="muted">#{num}</span></h1><p><span class="badge">{state}</span> {esc(who)} opened this. '
        + " ".join(f'<span class="badge">{l}</span>' for l in labels)
        + "</p>"
    )
    body += (
        "".join(
            f'<div class="card" style="margin-bottom:.6em"><b>{esc(u)}</b><p class="prose">{esc(t)}</p></div>' for u, t in says
        )
        + f'<textarea style="width:60%" placeholder="Leave a comment"></textarea>{buttons(r, ["Comment", "Close issue"])}</div>'
    )
    return Spec(
        kind="issue page",
        app=app,
        title=head,
        body=body,
        main=[f"#{num}", state, says[0][0], says[0][1]] + labels,
        qa=[
            ("What is the number of the issue?", f"#{num}"),
            ("Is the issue open?", "Yes." if state in ("Open", "In progress") else "No."),
            ("Who opened it?", who),
            ("Which labels does it have?", ", ".join(labels)),
        ],
    )


HTTP = (
    ("404", "Page not found", "We could not find the page you were looking for."),
    ("404", "Not Found", "The requested URL was not found on this server."),
    ("500", "Internal server error", "Something went wrong on our side."),
    ("403", "Access denied", "You do not have permission to view this page."),
    ("503", "Service unavailable", "We are down for maintenance."),
    ("502", "Bad gateway", "The server received an invalid response."),
    ("401", "Unauthorized", "Please sign in to continue."),
    ("429", "Too many requests", "Please slow down."),
    ("", "This site can't be reached", "{h} refused to connect."),
    ("", "You are offline", "Check your internet connection and try again."),
    ("", "Your connection is not private", "Attackers might be trying to steal your information from {h}."),
    ("410", "Gone", "This page has been removed."),
    ("", "Something went wrong", "Please try again later."),
    ("504", "Gateway timeout", "{h} took too long to respond."),
)


def http_error(r):
    code, head, hint = pick(r, HTTP)
    h = host(r)
    hint = hint.replace("{h}", h) if r.random() < 0.7 or "{h}" in hint else prose(r, 80)
    app = brand(r) if code else h
    names = r.sample(
        ("Go to the home page", "Try again", "Reload", "Go back", "Contact support", "Details", "Search"), r.randint(1, 2)
    )
    big = f'<div style="font-size:{r.randint(3, 7)}em;font-weight:700">{code}</div>' if code and r.random() < 0.7 else ""
    top = f"<h1>{esc((code + ' ' if code and not big else '') + head)}</h1>"
    gone = f"/{stem(r)}/{filename(r)}" if code in ("404", "410") and r.random() < 0.6 else ""
    hint = f"{hint} {gone}" if gone else hint
    req = f"Request ID: {r.getrandbits(32):08x}" if r.random() < 0.3 else ""
    align = r.choice(("center", "left"))
    body = (
        (topbar(r, app, ("Home", "Products", "About")) if r.random() < 0.6 and code else "")
        + f'<div class="main" style="text-align:{align};padding-top:{r.randint(20, 160)}px">{big}{top}<p>{esc(hint)}</p><div class="row" style="justify-content:{align}">{buttons(r, names)}</div><p class="muted small">{req}</p></div>'
    )
    full = f"{code} {head}".strip()
    return Spec(
        kind="error page",
        app=app,
        title=head,
        body=body,
        error=full if not big else head,
        main=([code] if big else []) + [hint, req],
        qa=([("Which address could not be found?", gone)] if gone else []) + [("Whose site is it?", app)] + [("What is the error code?", code or "None is shown."), ("What does the page say?", head), ("What went wrong?", head)],
    )


def status(r):
    app, parts = (
        brand(r, ("Status", "Cloud")),
        r.sample(
            ("Website", "API", "Database", "Mail", "Search", "Login", "Storage", "Payments", "Backups", "CDN"), r.randint(4, 8)
        ),
    )
    down = r.sample(parts, r.choice((0, 0, 1, 1, 2)))
    word = pick(r, ("Down", "Outage", "Failed", "Unreachable"))
    head = (
        pick(r, ("All systems operational", "Everything is running"))
        if not down
        else pick(r, (f"{down[0]} is down", "Some systems are down", "Partial outage", "Service disruption"))
    )
    ok = pick(r, ("Operational", "OK", "Up", "Running"))
    rows = "".join(
        f'<div class="card row"><b class="grow">{p}</b><span class="badge {"err" if p in down else "good"}">{word if p in down else ok}</span></div>'
        for p in parts
    )
    when = f"Updated {clock(r)[:5]}"
    body = (
        topbar(r, app, ("History", "Subscribe"))
        + f'<div class="main"><div class="{"errbox" if down else "okbox"}"><b>{esc(head)}</b></div><p class="muted small">{when}</p><div class="grid" style="grid-template-columns:repeat({r.choice((1, 1, 2, 3))},1fr)">{rows}</div></div>'
    )
    return Spec(
        kind="status page",
        app=app,
        title=head,
        body=body,
        error=(f"{down[0]}: {word}" if down and head.startswith(("Some", "Partial", "Service")) else head) if down else None,
        main=[f"{p}: {word if p in down else ok}" for p in (down or parts[:3])] + [when],
        qa=[(f"Is {p} working?", "No." if p in down else "Yes.") for p in parts[:4]]
        + [("Which service is down?", ", ".join(down) or "None.")],
    )


PAGES = [(repo, 3), (build_run, 5), (issue, 2), (http_error, 6), (status, 4)]
