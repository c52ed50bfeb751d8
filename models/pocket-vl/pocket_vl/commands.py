"""What terminals say: commands with their output and, where one fails, the line that says so."""

from .text import *
from .render.face import assets


def command(r):
    """(command, output lines, error line or None)."""
    x = r.randint(0, 19)
    f, w, n = filename(r), pick(r, assets().words).lower(), r.randint(2, 6)
    if x == 0:
        return (
            "ls -l" + pick(r, ("", "a", "h")),
            [f"total {r.randint(4, 900)}"]
            + [
                f"{pick(r, ('-rw-r--r--', 'drwxr-xr-x', '-rwxr-xr-x'))} {r.randint(1, 9)} {pick(r, ('root root', 'user user'))} {r.randint(10, 99999):>6} {pick(r, ('Jan', 'May', 'Oct'))} {r.randint(1, 28):>2} {clock(r)[:5]} {filename(r)}"
                for _ in range(n)
            ],
            None,
        )
    if x == 1:
        return "ls", ["  ".join(filename(r) for _ in range(r.randint(2, 4))) for _ in range(r.randint(1, 3))], None
    if x == 2:
        return (
            "git status",
            [f"On branch {pick(r, ('main', 'master', w))}", "Changes not staged for commit:"]
            + [f"  modified:   {filename(r)}" for _ in range(r.randint(1, 3))]
            + ["no changes added to commit"],
            None,
        )
    if x == 3:
        return "git log --oneline", [f"{r.getrandbits(28):07x} {pick(r, assets().titles)[:44]}" for _ in range(n)], None
    if x == 4:
        e = f"error[E0{r.randint(100, 599)}]: " + pick(
            r, ("mismatched types", f"cannot find value `{w}` in this scope", f"unresolved import `{w}`", "borrow of moved value")
        )
        return (
            "cargo build",
            [
                f"   Compiling {w} v0.{r.randint(1, 20)}.{r.randint(0, 9)}",
                e,
                f"  --> src/{f}:{r.randint(1, 400)}:{r.randint(1, 60)}",
                f"error: could not compile `{w}` (lib) due to 1 previous error",
            ],
            e,
        )
    if x == 5:
        return (
            "cargo " + pick(r, ("build", "test", "run")),
            [
                f"   Compiling {pick(r, assets().words).lower()} v{r.randint(0, 3)}.{r.randint(0, 20)}.{r.randint(0, 9)}"
                for _ in range(r.randint(1, 4))
            ]
            + [f"    Finished dev profile in {r.random() * 60:.2f}s"],
            None,
        )
    if x == 6:
        e = pick(
            r,
            (
                f"ModuleNotFoundError: No module named '{w}'",
                f"ValueError: invalid literal for int(): '{w}'",
                f"KeyError: '{w}'",
                f"FileNotFoundError: [Errno 2] No such file or directory: '{f}'",
                "ZeroDivisionError: division by zero",
                f"NameError: name '{w}' is not defined",
            ),
        )
        return (
            f"python3 {stem(r)}.py",
            [
                "Traceback (most recent call last):",
                f'  File "{stem(r)}.py", line {r.randint(1, 300)}, in <module>',
                "    " + pick(r, assets().code).strip()[:50],
                e,
            ],
            e,
        )
    if x == 7:
        e = pick(
            r,
            (
                f"bash: {w}: command not found",
                f"cat: {f}: No such file or directory",
                f"rm: cannot remove '{f}': Permission denied",
                f"cd: {w}: No such file or directory",
                f"make: *** No rule to make target '{w}'.  Stop.",
                "fatal: not a git repository",
                f"curl: (6) Could not resolve host: {host(r)}",
                f"ssh: connect to host {host(r)} port 22: Connection refused",
                f"E: Unable to locate package {w}",
                f"mkdir: cannot create directory '{w}': File exists",
            ),
        )
        return pick(r, (w, "cat " + f, "rm " + f, "make " + w, "sudo apt install " + w)), [e], e
    if x == 8:
        return (
            f"ping {host(r)}",
            [
                f"64 bytes from {r.randint(1, 255)}.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 255)}: icmp_seq={i + 1} ttl={r.randint(40, 64)} time={r.random() * 90:.1f} ms"
                for i in range(n)
            ],
            None,
        )
    if x == 9:
        return (
            "df -h",
            ["Filesystem      Size  Used Avail Use% Mounted on"]
            + [
                f"/dev/sd{pick(r, 'abc')}{r.randint(1, 5)}      {r.randint(10, 900):>4}G {r.randint(1, 99):>4}G {r.randint(1, 99):>4}G  {r.randint(1, 99):>2}% {pick(r, ('/', '/home', '/var', '/boot'))}"
                for _ in range(r.randint(1, 4))
            ],
            None,
        )
    if x == 10:
        return (
            f"pip install {w}",
            [
                f"Collecting {w}",
                f"  Downloading {w}-{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 9)}-py3-none-any.whl ({r.randint(1, 900)} kB)",
                f"Installing collected packages: {w}",
                f"Successfully installed {w}-{r.randint(0, 9)}.{r.randint(0, 30)}",
            ],
            None,
        )
    if x == 11:
        return f"cat {f}", [prose(r, 76) for _ in range(n)], None
    if x == 12:
        return f"grep -n {w} {f}", [f"{r.randint(1, 999)}: {pick(r, assets().code).strip()[:64]}" for _ in range(n)], None
    if x == 13:
        return (
            "ps aux",
            ["USER       PID %CPU %MEM COMMAND"]
            + [
                f"{pick(r, ('root', 'www', user(r))):<8} {r.randint(1, 32000):>5} {r.random() * 99:4.1f} {r.random() * 20:4.1f} {pick(r, assets().names)[:24]}"
                for _ in range(n)
            ],
            None,
        )
    if x == 14:
        return (
            f"sudo apt install {pick(r, assets().names)}",
            [
                "Reading package lists... Done",
                "Building dependency tree... Done",
                f"{r.randint(0, 5)} upgraded, {r.randint(1, 9)} newly installed, 0 to remove.",
                f"Setting up {pick(r, assets().names)[:28]} ({r.randint(0, 9)}.{r.randint(0, 30)}-{r.randint(1, 5)}) ...",
            ],
            None,
        )
    if x == 15:
        k, bad = r.randint(3, 80), r.random() < 0.5
        e = f"test result: FAILED. {k} passed; {r.randint(1, 5)} failed" if bad else None
        return (
            "make test",
            [
                f"test {pick(r, assets().words).lower()}::{pick(r, assets().words).lower()} ... {'ok' if not bad or i else 'FAILED'}"
                for i in range(n)
            ]
            + [e or f"test result: ok. {k} passed; 0 failed"],
            e,
        )
    if x == 16:
        bad = r.random() < 0.4
        return (
            f"systemctl status {w}",
            [
                f"{w}.service - {pick(r, assets().titles)[:40]}",
                f"   Active: {'failed (Result: exit-code)' if bad else 'active (running)'} since {date(r)}",
                f" Main PID: {r.randint(100, 9999)} ({w})",
            ],
            ("Active: failed (Result: exit-code)" if bad else None),
        )
    if x == 17:
        return (
            pick(r, ("date", "uptime", "whoami", "pwd", "uname -r", "hostname")),
            [
                pick(
                    r,
                    (
                        f"{date(r)} {clock(r)}",
                        f" {clock(r)} up {r.randint(1, 99)} days, load average: {r.random():.2f}",
                        user(r),
                        path(r),
                        f"{r.randint(5, 6)}.{r.randint(0, 19)}.0-amd64",
                    ),
                )
            ],
            None,
        )
    if x == 18:
        return f"man {w}", [pick(r, assets().titles)] + [prose(r, 76) for _ in range(n)], None
    return f"echo {w}", [w], None


def build(r, n):
    """A build or test of about `n` lines: (command, lines, error line or None, "runs" | "failed" | "done")."""
    w, sort = (
        pick(r, assets().words).lower(),
        r.choice(("cargo", "make", "cmake", "npm", "pytest", "gcc", "apt", "docker", "download")),
    )
    state = r.choice(("runs", "failed", "failed", "done"))
    src = lambda: f"{stem(r)[:14]}.{pick(r, ('c', 'cpp', 'rs'))}"
    steps = {
        "cargo": lambda i: (
            f"   Compiling {pick(r, assets().words).lower()} v{r.randint(0, 4)}.{r.randint(0, 20)}.{r.randint(0, 9)}"
        ),
        "make": lambda i: f"cc -O2 -Wall -c {src()} -o {stem(r)[:12]}.o",
        "cmake": lambda i: f"[{min(100, (i + 1) * 100 // n):>3}%] Building C object src/{stem(r)[:16]}.c.o",
        "npm": lambda i: (
            f"added {r.randint(2, 900)} packages in {r.randint(1, 60)}s"
            if i
            else f"> {w}@{r.randint(0, 9)}.{r.randint(0, 9)}.0 build"
        ),
        "pytest": lambda i: (
            f"tests/test_{pick(r, assets().words).lower()}.py {'.' * r.randint(1, 30)}  [{min(100, (i + 1) * 100 // n):>3}%]"
        ),
        "gcc": lambda i: f"{src()}: In function '{pick(r, assets().words).lower()}':",
        "apt": lambda i: pick(
            r,
            (
                f"Get:{i + 1} http://deb.{w}.org stable/main {pick(r, assets().names)[:20]} [{r.randint(3, 900)} kB]",
                f"Unpacking {pick(r, assets().names)[:24]} ...",
                f"Setting up {pick(r, assets().names)[:24]} ...",
            ),
        ),
        "docker": lambda i: f"Step {i + 1}/{n + 2} : {pick(r, ('RUN', 'COPY', 'ENV', 'WORKDIR'))} {stem(r)}",
        "download": lambda i: (
            f"{filename(r)[:18]:<20}{min(100, (i + 1) * 100 // n):>4}% [{'=' * min(20, (i + 1) * 20 // n)}>{' ' * max(0, 19 - (i + 1) * 20 // n)}] {r.randint(1, 90)}.{r.randint(0, 9)} MB/s"
        ),
    }
    cmd = {
        "cargo": "cargo build",
        "make": "make",
        "cmake": "cmake --build build",
        "npm": "npm run build",
        "pytest": "pytest",
        "gcc": f"gcc -Wall {w}.c",
        "apt": f"sudo apt install {w}",
        "docker": f"docker build -t {w} .",
        "download": f"wget {host(r)}/{w}",
    }[sort]
    bad = {
        "cargo": (
            f"error[E0{r.randint(100, 599)}]: "
            + pick(
                r,
                (
                    "mismatched types",
                    f"cannot find value `{w}` in this scope",
                    "use of moved value",
                    f"no method named `{w}` found",
                ),
            ),
            f"error: could not compile `{w}` due to previous error",
        ),
        "make": (
            f"{src()}:{r.randint(1, 400)}:{r.randint(1, 40)}: error: "
            + pick(
                r,
                (
                    f"'{w}' undeclared (first use in this function)",
                    "expected ';' before '}' token",
                    f"unknown type name '{w}'",
                    f"conflicting types for '{w}'",
                ),
            ),
            f"make: *** [Makefile:{r.randint(2, 90)}: {w}.o] Error 1",
        ),
        "cmake": (
            f"src/{src()}:{r.randint(1, 400)}: error: " + pick(r, (f"undefined reference to `{w}'", f"no member named '{w}'")),
            f"gmake: *** [Makefile:{r.randint(2, 200)}: all] Error 2",
        ),
        "npm": (
            f"npm ERR! {pick(r, ('missing script: ' + w, 'code ELIFECYCLE', 'Cannot find module ' + repr(w)))}",
            "npm ERR! A complete log of this run can be found above.",
        ),
        "pytest": (
            f"FAILED tests/test_{w}.py::test_{pick(r, assets().words).lower()} - {pick(r, ('AssertionError', 'KeyError', 'ValueError', 'TypeError'))}",
            f"{r.randint(1, 9)} failed, {r.randint(2, 90)} passed in {r.random() * 20:.2f}s",
        ),
        "gcc": (
            f"{w}.c:{r.randint(1, 300)}:{r.randint(1, 50)}: error: "
            + pick(
                r,
                (
                    f"'{pick(r, assets().words).lower()}' undeclared",
                    "expected expression before ')' token",
                    "too few arguments to function",
                ),
            ),
            "compilation terminated.",
        ),
        "apt": (f"E: Unable to locate package {w}", f"E: Sub-process /usr/bin/dpkg returned an error code ({r.randint(1, 2)})"),
        "docker": (f"The command '/bin/sh -c {w}' returned a non-zero code: {r.randint(1, 127)}", f"ERROR: failed to solve: {w}"),
        "download": (f"wget: unable to resolve host address '{host(r)}'", "ERROR 404: Not Found."),
    }[sort]
    good = {
        "cargo": f"    Finished dev profile in {r.random() * 60:.2f}s",
        "make": f"cc -o {w} {stem(r)[:10]}.o",
        "cmake": f"[100%] Built target {w}",
        "npm": f"compiled successfully in {r.randint(2, 90)} s",
        "pytest": f"{r.randint(2, 90)} passed in {r.random() * 20:.2f}s",
        "gcc": "",
        "apt": f"Setting up {w} ({r.randint(1, 9)}.{r.randint(0, 9)}) ...",
        "docker": f"Successfully tagged {w}:latest",
        "download": f"'{w}' saved [{r.randint(1000, 99999)}]",
    }[sort]
    body = [steps[sort](i) for i in range(max(1, n - 3))]
    if state == "failed":
        if sort in ("cargo", "make", "gcc") and r.random() < 0.7:  # the error stands above the last lines
            body += [bad[0], "   " + pick(r, assets().code).strip()[:50], "      " + "^" * r.randint(1, 12)]
            body += [bad[1]]
            return cmd, body, bad[0], state
        return cmd, body + [bad[0], bad[1]][: r.randint(1, 2)], bad[0], state
    return cmd, body + ([good] if state == "done" and good else []), None, state
