"""Programs full of text: code editor, text editor, web page, chat, mail. Each draws into a rectangle."""

import re

from .face import assets
from .windows import *
from ..text import *
from ..commands import command


def code_editor(c, t, rect):
    r = c.r
    name = stem(r) + "." + pick(r, ("py", "rs", "c", "js", "ts", "h", "sh", "toml", "css", "java", "go"))
    (x, y, w, h), shown = window(
        c, t, rect, pick(r, (name, f"{name} - {stem(r)} - Code", f"{name} - Editor", f"{stem(r)} - IDE"))
    )
    error = None
    if r.random() < 0.6:
        dy = menu_bar(c, t, x, y, w)
        y += dy
        h -= dy
    if w > 420 and r.random() < 0.6:
        sw = int(w * r.uniform(0.14, 0.24))
        c.box(x, y, sw, h, t.panel)
        c.text(x + 8, y + 4, "EXPLORER", t.small, t.muted, sw - 12)
        for i in range(int((h - 30) // (t.px + 8))):
            if r.random() < 0.1 and i > 3:
                break
            c.text(x + 10 + r.randint(0, 1) * 10, y + 26 + i * (t.px + 8), filename(r), t.small, t.fg, sw - 24)
        x += sw
        w -= sw
    if r.random() < 0.7:
        th = t.px + 10
        c.box(x, y, w, th, t.panel)
        cx = x
        for i, tab in enumerate([name] + [filename(r) for _ in range(r.randint(0, 3))]):
            tw = t.font.getlength(tab) + 24
            if cx + tw > x + w:
                break
            if i == 0:
                c.box(cx, y, tw, th, t.bg, t.border)
            c.text(cx + 10, y + 4, tab, t.font, t.fg if i == 0 else t.muted)
            cx += tw
        y += th
        h -= th
    status = r.random() < 0.6
    if status:
        sh = t.px + 8
        c.box(x, y + h - sh, w, sh, t.accent)
        c.text(
            x + 8,
            y + h - sh + 3,
            f"Ln {r.randint(1, 400)}, Col {r.randint(1, 80)}   UTF-8   " + pick(r, ("Python", "Rust", "C", "JavaScript")),
            t.small,
            t.accent_fg,
            w - 16,
        )
        h -= sh
    if h > 150 and r.random() < 0.35:
        ph = int(h * r.uniform(0.18, 0.3))
        c.box(x, y + h - ph, w, ph, t.panel, t.border)
        lh = t.px + 5
        c.text(x + 8, y + h - ph + 4, pick(r, ("PROBLEMS", "OUTPUT", "TERMINAL")), t.small, t.muted)
        _, out, err = command(r)
        for i, l in enumerate(out[: max(0, int((ph - lh - 8) // lh))]):
            s = c.text(x + 8, y + h - ph + 6 + (i + 1) * lh, l.strip(), t.code, t.error if l == err else t.fg, w - 16)
            if l == err:
                error = s
        h -= ph
    lh, cw = int(t.px * r.uniform(1.2, 1.6)), max(1, t.code.getlength("M"))
    numbers, first = r.random() < 0.75, 1 if r.random() < 0.6 else r.randint(2, 400)
    gx = x + (cw * 4 + 10 if numbers else 6)
    cols = int((x + w - gx - 6) // cw)
    colours = [t.fg] + [tuple(r.randint(120, 255) if t.dark else r.randint(0, 140) for _ in range(3)) for _ in range(3)]
    at, lines = r.randint(0, len(assets().code) - 200), []
    for i in range(int((h - 8) // lh)):
        yy = y + 4 + i * lh
        if numbers:
            c.text(x + 4 + cw * (3 - len(str(first + i))), yy, str(first + i), t.code, t.muted)
            c.items and c.items.pop()
        if r.random() < 0.08:
            continue
        line = assets().code[(at + i * 7) % len(assets().code)][:cols]
        head = re.match(r"\s*[\w#@/]+", line)
        if head and r.random() < 0.7 and head.end() < len(line):
            k = head.end()
            a = c.text(gx, yy, line[:k], t.code, colours[r.randint(1, 3)])
            b = c.text(gx + cw * k, yy, line[k:], t.code, colours[0])
            if a and b:  # one line on the screen: one item
                p, q = c.items[-2], c.items[-1]
                c.items[-2:] = [(line.strip(), p[1], p[2], q[1] + q[3] - p[1], p[4], p[5], p[6])]
            s = line
        else:
            s = c.text(gx, yy, line, t.code, colours[r.randint(0, 3)])
        if s:
            lines.append(line.strip())
    say = f"The file {name} is open." + (f' The first line is "{lines[0]}".' if lines else "")
    return Truth(kind="code editor", title=shown, lines=lines, error=error, say=say, qa=[("Which file is open?", name)])


def web_page(c, t, rect):
    r = c.r
    x, y, w, h = rect
    name, site = title(r), host(r)
    shown = None
    url = None
    c.box(x, y, w, h, t.bg)
    if r.random() < 0.6:  # the browser around the page
        shown = name
        th = t.px + 14
        c.box(x, y, w, th, t.panel)
        tw = min(w - 20, t.font.getlength(name) + 50)
        c.box(x + 6, y + 3, tw, th - 3, t.bg, None, 4)
        icon(c, x + 14, y + th // 2 - 5, 10)
        shown = c.text(x + 32, y + 7, name, t.font, t.fg, tw - 44) or None
        if x + tw + 150 < x + w and r.random() < 0.5:
            c.text(x + tw + 26, y + 7, title(r), t.font, t.muted, 110)
        y += th
        h -= th
        bh = t.px + 14
        c.box(x, y, w, bh, t.bg, t.border)
        c.box(x + 70, y + 3, w - 120, bh - 6, t.panel, t.border, bh // 3)
        for i in range(3):
            c.d.ellipse((x + 10 + i * 18, y + bh / 2 - 4, x + 18 + i * 18, y + bh / 2 + 4), outline=t.muted)
        url = c.text(
            x + 84,
            y + 6,
            pick(r, ("https://", "", "http://")) + site + "/" + (stem(r) if r.random() < 0.6 else ""),
            t.font,
            t.fg,
            w - 150,
        )
        y += bh
        h -= bh
    start, buttons, error = len(c.items), [], None
    if r.random() < 0.14:  # an error page
        error, hint = pick(
            r,
            (
                ("404 Not Found", "The requested page was not found on this server."),
                ("This site can't be reached", f"{site} took too long to respond."),
                ("500 Internal Server Error", "Something went wrong."),
                ("403 Forbidden", "You do not have permission to view this page."),
                ("502 Bad Gateway", "nginx"),
                ("Your connection is not private", "Attackers might be trying to steal your information."),
                ("No internet", "Check the network cables."),
                ("Page not found", "Please check the address and try again."),
            ),
        )
        cy = y + int(h * r.uniform(0.1, 0.35))
        e = c.text(x + w * 0.1, cy, error, t.big, t.fg, w * 0.85)
        c.text(x + w * 0.1, cy + t.big.size * 1.6, hint, t.text, t.muted, w * 0.85)
        buttons = buttons_row(
            c,
            t,
            int(x + w * 0.1),
            int(cy + t.big.size * 1.6 + t.px * 2.4),
            r.sample(("Reload", "Back", "Details", "Home", "Try again"), r.randint(1, 2)),
        )
        return Truth(
            kind="error page",
            title=shown or e,
            lines=inside(c, start),
            buttons=buttons,
            error=e or None,
            main=[hint],
            qa=[("What is the address?", url)] if url else [],
        )
    if r.random() < 0.6:  # site header with links
        nh = t.px + 18
        c.box(x, y, w, nh, t.accent if r.random() < 0.5 else t.panel)
        fg = t.accent_fg if r.random() < 0 else None
        col = c.img.getpixel((int(x + 2), int(min(c.H - 1, y + 2))))
        fg = (255, 255, 255) if sum(col) < 380 else (20, 20, 20)
        cx = x + 14 + t.bold.getlength(site) + 24
        c.text(x + 14, y + 8, site, t.bold, fg)
        for link in r.sample(
            ("Home", "About", "News", "Contact", "Blog", "Docs", "Products", "Pricing", "Support", "Login", "Shop", "Help"),
            r.randint(2, 6),
        ):
            lw = t.font.getlength(link)
            if cx + lw + 10 > x + w:
                break
            c.text(cx, y + 8, link, t.font, fg)
            cx += lw + 18
        y += nh
        h -= nh
    m = int(w * r.uniform(0.03, 0.14))
    cy = y + r.randint(8, 24)
    body = len(c.items)
    heading = c.text(x + m, cy, name, t.big, t.fg, w - 2 * m) or name
    cy += int(t.big.size * 1.6)
    lh = int(t.px * r.uniform(1.3, 1.6))
    paragraph = None
    while cy < y + h - lh * 2:
        k = r.random()
        if k < 0.6 or paragraph is None:
            lines = c.wrap(" ".join(prose(r) for _ in range(r.randint(1, 3))), t.text, w - 2 * m, r.randint(1, 5))
            for l in lines:
                if cy > y + h - lh:
                    break
                c.text(x + m, cy, l, t.text, t.fg)
                cy += lh
            paragraph = paragraph or (lines[0] if lines else None)
            cy += lh // 2
        elif k < 0.72:
            c.text(x + m, cy, title(r), t.bold, t.accent if not t.dark else t.fg, w - 2 * m)
            cy += lh + 4
        elif k < 0.84:
            for _ in range(r.randint(2, 4)):
                if cy > y + h - lh * 2:
                    break
                c.d.ellipse((x + m + 4, cy + t.px // 2 - 2, x + m + 9, cy + t.px // 2 + 3), fill=t.fg)
                c.text(x + m + 18, cy, title(r), t.text, t.accent if r.random() < 0.3 and not t.dark else t.fg, w - 2 * m - 20)
                cy += lh
            cy += lh // 2
        elif k < 0.94 and not buttons:
            buttons = buttons_row(c, t, x + m, cy, r.sample(BUTTON, r.randint(1, 3)))
            cy += t.px + t.pad + 14
        else:
            ih = r.randint(30, 90)
            if cy + ih < y + h:
                c.box(x + m, cy, int((w - 2 * m) * r.uniform(0.2, 0.6)), ih, tuple(r.randint(60, 230) for _ in range(3)))
            cy += ih + 10
    say = "" if (shown or heading) == heading else f'The heading is "{heading}".'
    main = ([paragraph] if paragraph else []) + [l for l in inside(c, body) if l not in (heading, paragraph)][1:4]
    qa = [("What is the heading?", heading)] + ([("What is the address?", url)] if url else [])
    return Truth(kind="web page", title=shown or heading, lines=inside(c, body), buttons=buttons, say=say, main=main, qa=qa)


def chat(c, t, rect):
    r = c.r
    who = person(r) if r.random() < 0.7 else "#" + pick(r, assets().words).lower()
    (x, y, w, h), shown = window(c, t, rect, pick(r, ("Chat", who, "Messages", f"{who} - Chat")))
    hh = t.px + 16
    c.box(x, y, w, hh, t.panel)
    c.d.ellipse((x + 8, y + 4, x + hh - 2, y + hh - 6), fill=t.accent)
    c.text(x + hh + 8, y + 7, who, t.bold, t.fg, w - 60)
    ih = t.px + 16
    c.box(x + 8, y + h - ih - 4, w - 16, ih, t.bg, t.border, t.round)
    c.text(x + 18, y + h - ih + 3, "Type a message", t.font, t.muted, w - 90)
    buttons = buttons_row(c, t, 0, y + h - ih - 2, ["Send"], right=x + w - 4) if w > 260 and r.random() < 0.6 else []
    cy, start, last = y + hh + 6, len(c.items), None
    while True:
        mine = r.random() < 0.5
        lines = c.wrap(prose(r, r.randint(8, 110)), t.font, w * 0.62, 3)
        bh = int(len(lines) * t.px * 1.4 + 12)
        if cy + bh > y + h - ih - 10 or not lines:
            break
        bw = max(t.font.getlength(l) for l in lines) + 20
        bx = x + w - bw - 12 if mine else x + 12
        c.box(bx, cy, bw, bh, t.accent if mine else t.panel, None, 6)
        for i, l in enumerate(lines):
            c.text(bx + 10, cy + 5 + i * t.px * 1.4, l, t.font, t.accent_fg if mine else t.fg)
        last = (mine, " ".join(lines))
        cy += bh + r.randint(6, 14)
        if r.random() < 0.08:
            break
    say = f"The chat is with {who}." + (f' The last message{" from you" if last[0] else ""} is "{last[1]}".' if last else "")
    return Truth(
        kind="chat",
        title=shown or who,
        lines=inside(c, start),
        buttons=buttons,
        say=say,
        qa=[("Who is the chat with?", who)] + ([("What is the last message?", last[1])] if last else []),
    )


def document(c, t, rect):
    r = c.r
    name = pick(r, (filename(r), "Untitled", stem(r) + ".txt", title(r)[:30]))
    (x, y, w, h), shown = window(
        c, t, rect, name + pick(r, ("", " - Text Editor", " - Notepad", " - Writer", " - Document Viewer"))
    )
    if r.random() < 0.7:
        dy = menu_bar(c, t, x, y, w)
        y += dy
        h -= dy
    font = t.text if r.random() < 0.6 else t.code
    m = int(w * r.uniform(0.01, 0.12)) + 4
    if m > 30 and not t.dark and r.random() < 0.5:
        c.box(x, y, w, h, t.panel)
        c.box(x + m - 14, y + 6, w - 2 * m + 28, h - 6, (255, 255, 255))
        t.fg = (20, 20, 20)
    cy, lh, lines = y + 10, int(t.px * r.uniform(1.2, 1.7)), []
    if r.random() < 0.4:
        s = c.text(x + m, cy, title(r), t.big, t.fg, w - 2 * m)
        lines += [s] if s else []
        cy += int(t.big.size * 1.7)
    stop = y + 20 + (h - 20) * (r.uniform(0.2, 1) if r.random() < 0.4 else 1)
    while cy < stop - lh * 1.2:
        for l in c.wrap(" ".join(prose(r) for _ in range(r.randint(1, 3))), font, w - 2 * m, r.randint(1, 6)):
            if cy > stop - lh:
                break
            s = c.text(x + m, cy, l, font, t.fg)
            cy += lh
            if s:
                lines.append(s)
        if r.random() < 0.5:
            cy += lh
    say = f'The text begins "{lines[0]}".' if lines else "It is empty."
    return Truth(kind="text editor", title=shown, lines=lines, say=say, main=lines[1:4])


def mail(c, t, rect):
    r = c.r
    (x, y, w, h), shown = window(c, t, rect, pick(r, ("Inbox", "Mail", f"Inbox ({r.randint(1, 40)})", "Inbox - Mail")))
    buttons = buttons_row(
        c,
        t,
        x + 8,
        y + 4,
        r.sample(("Reply", "Forward", "Delete", "New", "Archive", "Reply all", "Refresh"), r.randint(2, 4)),
        primary=9,
    )
    y += t.px + t.pad + 14
    h -= t.px + t.pad + 14
    sw = int(w * r.uniform(0.28, 0.42)) if w > 400 else 0
    rh = int(t.px * 2.9)
    sel = (person(r), title(r))
    for i in range(min(12, int(h // rh)) if sw else 0):
        who, sub = sel if i == 0 else (person(r), title(r))
        if i == 0:
            c.box(x, y, sw, rh, t.panel)
        c.text(x + 8, y + i * rh + 3, who, t.bold, t.fg, sw * 0.65)
        c.text(x + sw * 0.75, y + i * rh + 3, clock(r)[:5], t.small, t.muted, sw * 0.24)
        c.text(x + 8, y + i * rh + 5 + t.px * 1.2, sub, t.small, t.muted, sw - 14)
        c.d.line((x, y + (i + 1) * rh, x + sw, y + (i + 1) * rh), fill=t.border)
    x += sw
    w -= sw
    c.d.line((x, y, x, y + h), fill=t.border)
    start = len(c.items)
    sub = c.text(x + 14, y + 6, sel[1], t.big, t.fg, w - 28)
    cy = y + 10 + int(t.big.size * 1.6)
    c.text(x + 14, cy, f"From: {sel[0]}", t.font, t.muted, w - 28)
    cy += int(t.px * 2.2)
    body = []
    for l in c.wrap(" ".join(prose(r) for _ in range(r.randint(1, 8))), t.text, w - 28):
        if cy > y + h - t.px * 1.6:
            break
        s = c.text(x + 14, cy, l, t.text, t.fg)
        body += [s] if s else []
        cy += int(t.px * 1.5)
    say = f'The open message "{sub}" is from {sel[0]}.' + (f' It begins "{body[0]}".' if body else "")
    return Truth(
        kind="mail program",
        title=shown,
        lines=inside(c, start),
        buttons=buttons,
        say=say,
        qa=[("Who is the message from?", sel[0]), ("What is the subject?", sub or "")],
    )
