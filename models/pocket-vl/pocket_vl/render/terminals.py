"""Terminals: a shell with commands, a build that runs, a full-screen monitor, an editor or pager inside.

A terminal is a grid of characters. `shell` keeps what it shows as rows, so that a second frame can go on where it was:
more output, typing, a prompt that came back (`grow`).
"""

from .canvas import rows
from .face import assets
from .windows import Truth, window
from ..commands import build, command
from ..text import *

GROUNDS = ((0, 0, 0), (30, 30, 30), (48, 10, 36), (40, 44, 52), (0, 43, 54), (12, 12, 12))


class Screen:
    """Where a terminal's rows stand and what they are drawn with."""

    def __init__(self, c, t, rect):
        r = c.r
        self.c, (self.x, self.y, self.w, self.h) = c, rect
        self.dark = r.random() < 0.75
        self.bg = pick(r, GROUNDS) if self.dark else pick(r, ((255, 255, 255), (253, 246, 227)))
        self.fg = tuple(r.randint(200, 255) for _ in range(3)) if self.dark else (20, 20, 20)
        self.red = (245, 90, 80) if self.dark else (190, 0, 0)
        self.green = (90, 220, 90) if self.dark else (0, 120, 0)
        self.font = assets().font(pick(r, assets().bitmap), 0) if r.random() < 0.4 and assets().bitmap else t.code
        self.lh = int(self.font.size * r.uniform(1.0, 1.35)) + 1
        self.cw = max(1, self.font.getlength("M"))
        self.n, self.cols = int((self.h - 8) // self.lh), int((self.w - 10) // self.cw)
        self.coloured = r.random() < 0.5

    def draw(self, lines, prompt=None, cursor=True, error=None):
        """Clears the ground and draws the last rows that fit; returns those rows."""
        c = self.c
        c.cover(self.x, self.y, self.w, self.h)
        c.box(self.x, self.y, self.w, self.h, self.bg)
        lines = [l[: self.cols] for l in lines][-self.n :]
        for i, line in enumerate(lines):
            yy = self.y + 4 + i * self.lh
            k = len(prompt.rstrip()) if prompt and line.startswith(prompt.rstrip()) else 0
            if k and self.coloured and k + 1 < len(line):
                at = len(c.items)
                c.text(self.x + 5, yy, line[:k], self.font, self.green)
                c.text(self.x + 5 + self.cw * (k + 1), yy, line[k + 1 :], self.font, self.fg)
                if len(c.items) == at + 2:  # one row of the screen: one item
                    p, q = c.items[-2], c.items[-1]
                    c.items[-2:] = [(line.strip(), p[1], p[2], q[1] + q[3] - p[1], p[4], p[5], p[6])]
            else:
                bad = error and self.coloured and line.strip() == error[: self.cols].strip()
                c.text(self.x + 5, yy, line, self.font, self.red if bad else self.fg)
        if cursor and lines:
            self.c.box(
                self.x + 5 + self.cw * min(self.cols - 1, len(lines[-1]) + (lines[-1] == (prompt or "").rstrip())),
                self.y + 4 + (len(lines) - 1) * self.lh,
                self.cw,
                self.lh - 2,
                self.fg,
                self.fg,
            )
        return lines


def titled(r, cwd, u, machine):
    return pick(
        r,
        (
            f"{u}@{machine}: {cwd}",
            "Terminal",
            "xterm",
            "bash",
            "Console",
            f"{cwd} - Terminal",
            "PowerShell",
            "Konsole",
            f"{u}@{machine}",
        ),
    )


def terminal(c, t, rect):
    """One of the sorts of terminal."""
    return c.r.choices((shell, build_log, monitor, inside_editor), (10, 4, 2, 2))[0](c, t, rect)


def shell(c, t, rect):
    r = c.r
    u, machine = user(r), stem(r)[:10]
    cwd = pick(r, ("~", "~/" + stem(r), "/etc", "~/src", "/tmp"))
    inner, shown = window(c, t, rect, titled(r, cwd, u, machine))
    s = Screen(c, t, inner)
    prompt = pick(r, (f"{u}@{machine}:{cwd}$ ", "$ ", "> ", f"[{u}@{machine}]$ ", f"{machine}# "))
    room, todo, error, last = r.randint(max(1, s.n // 3), max(1, s.n)) if r.random() < 0.6 else s.n, [], None, None
    quiet = r.random() < 0.45  # a good part of terminals shows no error at all
    for _ in range(40):
        cmd, out, err = command(r)
        if err and quiet:
            continue
        if len(todo) + 1 + len(out) > room:
            break
        todo += [prompt + cmd] + list(out)
        last, error = cmd, err or error
    if not todo:
        todo, last = [prompt + "ls"], "ls"
    if r.random() < 0.5 and len(todo) < s.n:
        todo.append(prompt.rstrip())
    start = len(c.items)
    lines = s.draw(todo, prompt, r.random() < 0.6, error)
    outs = [l.strip() for l in lines if l.strip() and not l.startswith(prompt.rstrip())]
    tail = outs[-1] if outs else None
    error = next((l.strip() for l in lines if error and l.strip() == error[: s.cols].strip()), None)
    T = Truth(
        kind="terminal",
        title=shown,
        lines=rows(c.items[start:]),
        error=error,
        main=[l for l in outs[::-1] if l != tail][:5],
        say=f'The last command is "{last[: s.cols - len(prompt)]}"'
        + (f' and the last line of output is "{tail}".' if tail and tail != error else "."),
        qa=[
            ("What is the last command?", last[: s.cols - len(prompt)]),
            ("Did the last command fail?", "Yes." if error and tail == error else "No."),
        ]
        + ([("What is the last line of output?", tail)] if tail else []),
    )
    T["screen"], T["rows"], T["prompt"] = s, lines, prompt
    return T


def build_log(c, t, rect):
    """A build or test that runs, ended well or badly, the error often further up."""
    r = c.r
    inner, shown = window(c, t, rect, pick(r, ("Terminal", "make", "build", "cargo", f"{user(r)}@{stem(r)[:8]}: ~/{stem(r)}")))
    s = Screen(c, t, inner)
    cmd, out, error, state = build(r, max(4, s.n - r.randint(1, 6)))
    prompt = pick(r, ("$ ", "> ", f"{user(r)}@{stem(r)[:8]}:~$ "))
    start = len(c.items)
    lines = s.draw(
        [prompt + cmd] + out + ([prompt.rstrip()] if state != "runs" and r.random() < 0.7 else []), prompt, error=error
    )
    tail = [l.strip() for l in lines if l.strip() and not l.startswith(prompt.rstrip())][-1:]
    error = next((l.strip() for l in lines if error and l.strip() == error[: s.cols].strip()), None)
    now = {"runs": "It is still running.", "failed": "The build failed.", "done": "It finished without an error."}[state]
    T = Truth(
        kind="terminal",
        title=shown,
        lines=rows(c.items[start:]),
        error=error,
        now=[now],
        main=tail + [l.strip() for l in lines[-6:-1]][::-1],
        say=f'The command is "{cmd}".' if lines[0].endswith(cmd) else "",
        qa=[
            ("Is it still running?", "Yes." if state == "runs" else "No."),
            ("Did the build succeed?", {"runs": "It is still running.", "failed": "No.", "done": "Yes."}[state]),
        ]
        + [("What is the last line of output?", l) for l in tail],
    )
    T["screen"], T["rows"], T["prompt"] = s, lines, prompt
    return T


def monitor(c, t, rect):
    """A full-screen process monitor with bars of one character."""
    r = c.r
    name = pick(r, ("htop", "top", "btop", "htop"))
    inner, shown = window(c, t, rect, pick(r, (name, "Terminal", f"{name} - Terminal", f"{user(r)}@{stem(r)[:8]}: ~")))
    s = Screen(c, t, inner)
    width = max(6, min(30, s.cols // 2 - 12))
    out = []
    for i in range(r.randint(1, 4)):
        pct = r.random() * 100
        full = int(width * pct / 100)
        out.append(f"{i:>3}[{pick(r, '||#=') * full}{' ' * (width - full)}{pct:5.1f}%]")
    mem = f"{r.random() * 7:.2f}G/7.{r.randint(10, 90)}G"
    full = r.randint(1, width)
    out += [
        f"Mem[{'|' * full}{' ' * (width - full)}{mem}]",
        f"Swp[{' ' * width}0K/{r.randint(1, 4)}.00G]",
        f"Tasks: {r.randint(20, 300)}, {r.randint(50, 900)} thr; {r.randint(1, 4)} running",
        f"Load average: {r.random() * 3:.2f} {r.random() * 2:.2f} {r.random():.2f}",
        "",
        "  PID USER      PRI  NI  VIRT   RES S CPU% MEM%   TIME+  Command",
    ]
    procs = sorted(
        ((r.random() * 90 if i < 3 else r.random() * 4), user(r)[:8], r.randint(1, 32000), pick(r, assets().names)[:22])
        for i in range(max(1, s.n - len(out) - 2))
    )[::-1]
    out += [
        f"{pid:>5} {u:<9} {20:>3}   0 {r.randint(9, 999):>4}M {r.randint(1, 99):>4}M {pick(r, 'RSSS')} {cpu:4.1f} {r.random() * 9:4.1f} {r.randint(0, 9)}:{r.randint(0, 59):02}.{r.randint(10, 99)} {n}"
        for cpu, u, pid, n in procs
    ]
    out = out[: s.n - 1] + ["F1Help  F2Setup  F3Search  F4Filter  F9Kill  F10Quit"]
    start = len(c.items)
    s.draw(out, cursor=False)
    top = procs[0]
    return Truth(
        kind="process monitor in a terminal",
        app=name if shown and name in shown else None,
        title=shown,
        lines=rows(c.items[start:]),
        main=[out[len(out) - len(procs) - 5].strip()] if len(out) > 9 else [],
        say=f'The busiest process is "{top[3]}".' if s.cols > 75 else "",
        qa=[
            ("Which process uses the most CPU?", top[3]),
            ("How much memory is used?", mem),
            ("What is the PID of the first process?", str(top[2])),
        ]
        if s.cols > 75
        else [("How much memory is used?", mem)],
    )


def inside_editor(c, t, rect):
    """nano, vim or less in a terminal."""
    r = c.r
    f, prog = filename(r), pick(r, ("nano", "vim", "less"))
    inner, shown = window(c, t, rect, pick(r, (f"{prog} {f}", "Terminal", prog)))
    s = Screen(c, t, inner)
    at = r.randint(0, len(assets().code) - 100)
    text = (
        [assets().code[at + i] if r.random() < 0.9 else "" for i in range(s.n)]
        if r.random() < 0.6
        else [prose(r, s.cols) for _ in range(s.n)]
    )
    text = [l[: s.cols].rstrip() for l in text]
    error = (
        pick(
            r,
            (
                "E37: No write since last change (add ! to override)",
                f"[ Error writing {f}: Permission denied ]",
                "E212: Can't open file for writing",
            ),
        )
        if r.random() < 0.2
        else None
    )
    foot = {
        "nano": ["^G Help      ^O Write Out ^W Where Is  ^K Cut", "^X Exit      ^R Read File ^\\ Replace   ^U Paste"],
        "vim": [error or pick(r, ("-- INSERT --", f'"{f}" {r.randint(3, 900)}L, {r.randint(90, 9999)}B', ""))],
        "less": [pick(r, (f, ":", "(END)", f"lines 1-{s.n - 1}"))],
    }[prog]
    if prog == "less":
        error = None
    if prog == "nano" and error:
        foot = [error] + foot
    out = ([f"  GNU nano 7.2          {f}"] if prog == "nano" else []) + text
    out = out[: max(1, s.n - len(foot))] + foot
    start = len(c.items)
    lines = s.draw(out, cursor=False, error=error)
    first = next((l.strip() for l in text if l.strip()), "")
    seen = error and any(l.strip() == error[: s.cols].strip() for l in lines)
    return Truth(
        kind="text editor in a terminal" if prog != "less" else "pager in a terminal",
        app=prog if shown and prog in shown else None,
        title=shown,
        lines=rows(c.items[start:]),
        error=error[: s.cols].strip() if seen else None,
        say=f'The text begins "{first}".' if first else "",
        qa=[("What is the first line of text?", first)] if first else [],
    )


def grow(r, T):
    """The shell or build of `T` a moment later -> what happened, in words; draws it. None: nothing can happen."""
    s, lines, prompt = T["screen"], T["rows"], T["prompt"]
    k = r.random()
    at_prompt = lines[-1].rstrip() == prompt.rstrip()
    if at_prompt and k < 0.45:
        cmd = command(r)[0][: max(1, s.cols - len(prompt) - 1)].rstrip()
        s.draw(lines[:-1] + [prompt + cmd], prompt)
        return f'"{cmd}" was typed.'
    if at_prompt:
        cmd, out, err = command(r)
        out = [l[: s.cols] for l in out]
        s.draw(lines[:-1] + [prompt + cmd] + out + [prompt.rstrip()], prompt, error=err)
        if err:
            return f'The command "{cmd}" failed: "{err[: s.cols].strip()}"'
        return (
            f'The command "{cmd}" ran; the last line of output is "{out[-1].strip()}".'
            if out and out[-1].strip()
            else f'The command "{cmd}" ran.'
        )
    cmd, out, err, state = build(r, r.randint(2, 8))
    new = [l[: s.cols] for l in out[-r.randint(1, max(1, len(out))) :]]
    err = next((l.strip() for l in new if err and l.strip() == err[: s.cols].strip()), None)
    ended = state != "runs" and r.random() < 0.8
    last = next((l.strip() for l in new[::-1] if l.strip()), None)
    if not last:
        return None
    s.draw(lines + new + ([prompt.rstrip()] if ended else []), prompt, error=err)
    if ended and state == "failed":
        return f'The build failed: "{err or last}"'
    if err:
        return f'An error appeared in the output: "{err}"'
    return f'The command finished: "{last}"' if ended else f'More output appeared; the last line is "{last}".'
