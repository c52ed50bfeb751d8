"""Pieces that pages share: names of programs and sites, navigation, forms, tables, words of many domains."""

import re

from .look import esc
from ..render.face import assets
from ..text import *

SYLLABLES = (
    "ka lo mi ra ven dor tel nim bar sol quin fen wex lar cor pix ter nov al zen mar hel tro vi sun ek or bel dra fin gal".split()
)
PRODUCT = (
    "Lamp|Desk|Chair|Kettle|Backpack|Notebook|Pen set|Headphones|Keyboard|Mouse|Monitor|Bicycle|Helmet|Tent|Mug|Teapot|Blanket|Jacket|Boots|"
    "Scarf|Watch|Camera|Tripod|Speaker|Drill|Hammer|Saw|Ladder|Paint|Brush|Candle|Vase|Mirror|Shelf|Pillow|Towel|Pan|Knife|Bowl|Bottle"
).split("|")
ADJECTIVE = "Blue Red Green Small Large Folding Classic Oak Steel Wool Cotton Compact Silent Heavy Light Round Modern Travel Garden Winter".split()
TASK = (
    "Call {p}|Send the {w} report|Book a table for {n}|Buy {w}|Review {f}|Fix the {w} test|Pay the {w} bill|Water the plants|Write to {p}|"
    "Update the {w} page|Renew the {w} licence|Clean the {w}|Prepare slides for {d}|Back up {f}|Order {n} {w}s|Meet {p} at {t}"
).split("|")
EVENT = (
    "Stand-up|Lunch with {p}|Dentist|Team meeting|Review|Call with {p}|Training|Flight to {c}|Birthday of {p}|Workshop|Interview|Release|"
    "School trip|Yoga|Concert|Demo for {p}|Budget meeting|Doctor|Parents' evening|Planning"
).split("|")
CITY = "Lisbon Oslo Porto Leeds Dublin Turin Lyon Graz Malmo Bergen Ghent Riga Split Cork Basel Delft Bruges Tampere Kyoto Quito".split()
MONTH = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
WRONG = (
    "{l} is required.|Please enter a valid {l}.|{l} must not be empty.|The {l} is too short.|This {l} is already taken.|{l} is invalid.|"
    "Enter at least 8 characters.|Please fill in this field.|The {l} does not match.|Unknown {l}."
).split("|")
LOGIN_WRONG = (
    "Wrong user name or password.|The password is incorrect.|We could not find an account with that email.|Your account is locked. Try again in {n} minutes.|"
    "Too many attempts. Please wait.|Invalid login. {n} attempts left.|Sign-in failed. Check your password.|Your session has expired. Please sign in again."
).split("|")


def brand(r, suffixes=()):
    """An invented program or site."""
    k = r.random()
    if k < 0.45:
        base = "".join(pick(r, SYLLABLES) for _ in range(r.randint(2, 3))).capitalize()
    elif k < 0.8:
        base = pick(r, assets().words).capitalize()
    else:
        base = (
            pick(r, assets().words).capitalize()
            + " "
            + pick(r, ("& Co", "Labs", "Hub", "Works", "Cloud", "Studio", "Online", "Base"))
        )
    if suffixes and r.random() < 0.6:
        return f"{base} {pick(r, suffixes)}"
    return base


def say(r, template):
    """Fills {p} person, {w} word, {f} file, {n} number, {d} date, {t} time, {c} city."""
    for key, value in dict(
        p=person(r),
        w=pick(r, assets().words).lower(),
        f=filename(r),
        n=r.randint(2, 12),
        d=date(r),
        t=clock(r)[:5],
        c=pick(r, CITY),
    ).items():
        template = template.replace("{" + key + "}", str(value))
    return template


def product(r):
    return f"{pick(r, ADJECTIVE)} {pick(r, PRODUCT).lower()}" + (f" {r.randint(2, 90)}" if r.random() < 0.1 else "")


def price(r):
    cur = r.choice("€$£")
    v = r.choice((f"{r.randint(1, 400)}.{r.choice(('00', '50', '90', '95', '99'))}", f"{r.randint(1, 1900)}"))
    return r.choice((f"{cur}{v}", f"{v} {cur}"))


def nav(r, names, on=None, cls="side", width=None):
    """A column of names, one of them on."""
    style = f' style="width:{width}px;flex:none"' if width else ""
    return (
        f'<div class="{cls}"{style}>'
        + "".join(f'<div class="{"on" if n == on else ""}">{esc(n)}</div>' for n in names)
        + "</div>"
    )


def topbar(r, app, links=(), right="", coloured=None):
    """A site's head: its name, links, something at the right."""
    coloured = r.random() < 0.4 if coloured is None else coloured
    mark = '<span class="pic" style="width:1.5em;height:1.5em"></span>' if r.random() < 0.6 else ""
    return (
        f'<div class="bar {"brandbar" if coloured else ""}">{mark}<b>{esc(app)}</b>'
        + "".join(f'<a class="nowrap">{esc(l)}</a>' for l in links)
        + f'<span class="grow"></span>{right}</div>'
    )


def table(head, body, mark=None):
    """Rows of text; `mark` is a row shown as selected."""
    out = "<table><tr>" + "".join(f"<th>{esc(h)}</th>" for h in head) + "</tr>"
    for i, row in enumerate(body):
        cells = "".join(f"<td>{c if str(c).startswith('<') else esc(c)}</td>" for c in row)
        out += f'<tr class="{"sel" if i == mark else ""}">{cells}</tr>'
    return out + "</table>"


def field(r, label, value="", kind="text", bad=None, above=True, focus=False):
    """A labelled field, with what is wrong with it underneath."""
    w = r.randint(180, 380)
    inp = f'<input id="f{re.sub(chr(92) + "W", "", label)}" type="{kind}" value="{esc(value)}" style="width:{w}px" class="{"bad" if bad else ""}" {"autofocus" if focus else ""}>'
    err = f'<div class="err small">{esc(bad)}</div>' if bad else ""
    if above:
        return f'<div style="margin-bottom:.7em"><div>{esc(label)}</div>{inp}{err}</div>'
    return f'<div class="row" style="margin-bottom:.6em"><span style="width:9em">{esc(label)}</span><span>{inp}{err}</span></div>'


def buttons(r, names, primary=0, off=None):
    return (
        '<div class="row">'
        + "".join(
            f'<button class="{"primary" if i == primary else ""}" {"disabled" if n == off else ""}>{esc(n)}</button>'
            for i, n in enumerate(names)
        )
        + "</div>"
    )


def paragraph(r, n=2):
    return " ".join(prose(r) for _ in range(n))


def money_rows(r, n):
    return [(product(r).capitalize(), str(r.randint(1, 9)), price(r)) for _ in range(n)]
