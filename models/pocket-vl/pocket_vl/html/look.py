"""Looks: style sheets of many sorts (flat, rounded, bevelled, dense, airy, dark, light) over one small set of classes."""

from html import escape

from ..render.face import assets
from ..text import pick


def esc(s):
    """`s` as text of a page."""
    return escape(str(s), quote=True)


def shade(r, dark):
    """Grounds, panels, text, quiet text and borders that can be told apart."""
    tint = [r.randint(-7, 7) for _ in range(3)]

    def grey(g):
        return "#" + "".join(f"{max(0, min(255, g + t)):02x}" for t in tint)

    if dark:
        base = r.randint(8, 44)
        return dict(
            bg=grey(base),
            panel=grey(base + r.randint(8, 24)),
            fg=grey(r.randint(205, 250)),
            muted=grey(r.randint(140, 175)),
            line=grey(base + r.randint(25, 60)),
        )
    base = r.choice((255, 255, 250, 244, 236))
    return dict(
        bg=grey(base),
        panel=grey(base - r.randint(5, 26)),
        fg=grey(r.randint(5, 60)),
        muted=grey(r.randint(85, 130)),
        line=grey(base - r.randint(22, 80)),
    )


class Look:
    """One style: colours, fonts, sizes, corners."""

    def __init__(self, r):
        a = assets()
        self.r = r
        self.dark = r.random() < 0.42
        self.c = shade(r, self.dark)
        hue, sat = r.randint(0, 359), r.randint(35, 90)
        self.accent = f"hsl({hue} {sat}% {r.randint(34, 48)}%)"
        self.soft = f"hsl({hue} {sat // 2}% {r.randint(20, 30) if self.dark else r.randint(88, 95)}%)"
        self.err = (
            r.choice(("#e5484d", "#ff6b6b", "#f85149")) if self.dark else r.choice(("#c01c28", "#b00020", "#d32f2f", "#cc0000"))
        )
        self.good = "#3fb950" if self.dark else "#1a7f37"
        self.ui = pick(r, a.common if r.random() < 0.5 else a.sans)
        self.body = self.ui if r.random() < 0.8 else pick(r, a.serif)
        self.mono = pick(r, [m for m in a.mono])
        self.px = r.choice((12, 13, 13, 14, 14, 14, 15, 15, 16, 16, 17, 18, 20))
        self.round = r.choice((0, 0, 2, 4, 6, 8, 12, 18))
        self.pad = r.choice((3, 5, 6, 8, 10, 12))
        self.kind = r.choice(("flat", "flat", "line", "bevel", "shadow", "pill"))

    def face(self, name):
        """An @font-face rule for a font of the assets, with its bold sister where there is one."""
        from ..render.face import BOLD

        files, out = assets().files, []
        for weight, n in (("400", name), ("700", BOLD.get(name, name))):
            if n in files:
                out.append(f'@font-face{{font-family:"{name}";font-weight:{weight};src:url("file://{files[n]}")}}')
        return "".join(out)

    def css(self):
        """The style sheet."""
        c, p, q = self.c, self.pad, self.round
        edge = {
            "flat": "border:1px solid transparent",
            "line": f"border:1px solid {c['line']}",
            "bevel": f"border:2px outset {c['line']}",
            "shadow": f"border:1px solid {c['line']};box-shadow:0 1px 4px #0005",
            "pill": f"border:1px solid {c['line']}",
        }[self.kind]
        inset = f"border:2px inset {c['line']}" if self.kind == "bevel" else f"border:1px solid {c['line']}"
        rb = 99 if self.kind == "pill" else q
        heads = self.r.choice(("1.35", "1.6", "1.9", "2.2"))
        th = self.r.choice(("", f"background:{c['panel']}", f"border-bottom:2px solid {c['line']}"))
        zebra = f"tr:nth-child(even) td{{background:{c['panel']}}}" if self.r.random() < 0.4 else ""
        grid = (
            f"td,th{{border:1px solid {c['line']}}}" if self.r.random() < 0.4 else f"td,th{{border-bottom:1px solid {c['line']}}}"
        )
        faces = "".join(self.face(n) for n in {self.ui, self.body, self.mono})
        return f"""{faces}
*{{box-sizing:border-box;margin:0}} html,body{{height:100%;overflow:hidden}}
body{{font:{self.px}px/{self.r.choice(("1.25", "1.35", "1.45", "1.6"))} "{self.ui}";background:{c["bg"]};color:{c["fg"]}}}
h1{{font-size:{heads}em;line-height:1.2;margin:.2em 0 .4em}} h2{{font-size:1.2em;margin:.7em 0 .3em}} h3{{font-size:1em;margin:.3em 0}}
p{{margin:.35em 0 .7em}} .prose{{font-family:"{self.body}"}} a,.link{{color:{self.accent if not self.dark else self.good};text-decoration:{self.r.choice(("none", "underline"))}}}
button,.btn{{font:inherit;{edge};border-radius:{rb}px;padding:{max(2, p - 2)}px {p + 6}px;background:{c["panel"]};color:{c["fg"]};white-space:nowrap}}
.primary{{background:{self.accent};color:#fff}} [disabled]{{opacity:.55}}
input,select,textarea{{font:inherit;{inset};border-radius:{q}px;padding:{max(2, p - 2)}px {p}px;background:{c["bg"]};color:{c["fg"]};max-width:100%}}
input:focus,button:focus,.focus{{outline:2px solid {self.accent};outline-offset:1px}} .bad{{border-color:{self.err}!important}}
.bar{{display:flex;align-items:center;gap:{p + 6}px;padding:{p}px {p + 6}px;background:{c["panel"]};border-bottom:1px solid {c["line"]}}}
.brandbar{{background:{self.accent};color:#fff}} .brandbar .link,.brandbar a{{color:#fff}}
.side{{background:{c["panel"]};border-right:1px solid {c["line"]};padding:{p}px;overflow:hidden}} .side>div{{padding:{max(1, p - 3)}px {p}px;border-radius:{q}px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}}
.on{{background:{self.soft};font-weight:700}} .sel{{background:{self.accent}!important;color:#fff}} .row{{display:flex;gap:{p + 2}px;align-items:center}} .grow{{flex:1;min-width:0}}
.card{{background:{c["panel"]};{edge};border-radius:{q}px;padding:{p + 3}px;overflow:hidden}} .grid{{display:grid;gap:{p + 4}px}} .muted{{color:{c["muted"]}}} .small{{font-size:.86em}} .big{{font-size:1.7em;font-weight:700}}
.err{{color:{self.err}}} .errbox{{border:1px solid {self.err};color:{self.err};background:{self.err}18;border-radius:{q}px;padding:{p}px}} .good{{color:{self.good}}}
.okbox{{border:1px solid {self.good};color:{self.good};border-radius:{q}px;padding:{p}px}}
.badge{{font-size:.85em;border-radius:{rb}px;padding:1px 7px;background:{self.soft}}} .badge.err{{background:{self.err}22}}
table{{border-collapse:collapse;width:100%}} td,th{{text-align:left;padding:{max(1, p - 3)}px {p}px;white-space:nowrap}} th{{{th}}} {grid} {zebra}
pre,code,.mono{{font-family:"{self.mono}";font-size:{self.r.choice((".9", ".95", "1"))}em}} pre{{background:{c["panel"]};border-radius:{q}px;padding:{p}px;line-height:1.4;overflow:hidden}}
.main{{padding:{p + 4}px {p + 10}px;overflow:hidden;flex:1;min-width:0}} .fill{{display:flex;height:100%}} .col{{display:flex;flex-direction:column}}
.tab{{padding:{max(2, p - 2)}px {p + 5}px;border-bottom:2px solid transparent}} .tab.on{{border-color:{self.accent}}}
.prog{{height:{self.r.choice((6, 10, 14, 20))}px;background:{c["line"]};border-radius:{q}px;overflow:hidden}} .prog>i{{display:block;height:100%;background:{self.accent}}}
.sw{{width:2.4em;height:1.3em;border-radius:1em;background:{c["muted"]};position:relative;flex:none}} .sw:after{{content:"";position:absolute;left:.15em;top:.15em;width:1em;height:1em;border-radius:1em;background:#fff}} .sw.yes{{background:{self.accent}}} .sw.yes:after{{left:1.25em}}
.ck{{width:1em;height:1em;border:1px solid {c["muted"]};border-radius:{min(3, q)}px;display:inline-block;flex:none;line-height:.9em;font-size:.9em;text-align:center}} .ck.yes{{background:{self.accent};border-color:{self.accent}}}
.pic{{background:linear-gradient({self.r.randint(0, 180)}deg,{self.soft},{self.accent});border-radius:{q}px}} .nowrap{{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}}
.squig{{text-decoration:underline wavy {self.err}}} .warn{{text-decoration:underline wavy #c90}}
.modal{{position:fixed;background:{c["bg"]};{edge};border-color:{c["line"]};border-radius:{q}px;box-shadow:0 6px 30px #0009;z-index:50;overflow:hidden}}
.toast{{position:fixed;z-index:40;background:{self.r.choice(("#323232", c["panel"], self.err))};color:{self.r.choice(("#fff",)) if self.dark else "#fff"};border-radius:{q}px;padding:{p + 4}px {p + 10}px;box-shadow:0 3px 12px #0007}} .toast.plain{{background:#2b2b2b}} .toast.bad2{{background:{self.err}}}
.win{{position:absolute;border:1px solid {c["line"]};border-radius:{q}px;box-shadow:0 6px 28px #000a;background:{c["bg"]};display:flex;flex-direction:column;overflow:hidden}} .ttl{{display:flex;align-items:center;padding:{max(3, p - 2)}px {p + 2}px;background:{c["panel"]};border-bottom:1px solid {c["line"]}}}
"""


class Spec(dict):
    """A page and its truth, as far as it is known before it is laid out.

    kind, app, title, body (HTML), error, ask (a question that waits for an answer), now (focus, progress, selection:
    sentences with their strings), main (strings, the most important first), qa [(question, answer)], steps
    [(JavaScript, what it changes in words)].
    """

    def __init__(self, **kw):
        super().__init__(dict(kind="", app="", title="", body="", error=None, ask=None, now=[], main=[], qa=[], steps=[]))
        self.update(kw)

    __getattr__ = dict.__getitem__

    def __setattr__(self, key, value):
        self[key] = value
