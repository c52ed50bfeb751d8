"""Tables, charts, files, desktops. Each draws into a rectangle and returns its truth."""

from .face import assets
from .windows import *
from ..text import *


def table(c, t, rect):
    r = c.r
    sheet = r.random() < 0.4
    name = (
        (stem(r) + pick(r, (".xlsx", ".csv", ".ods")) + pick(r, ("", " - Spreadsheet")))
        if sheet
        else pick(r, ("Orders", "Customers", "Invoices", "Inventory", "Results", "Users", "Report", title(r)[:30]))
    )
    (x, y, w, h), shown = window(c, t, rect, name)
    if sheet and r.random() < 0.6:
        dy = menu_bar(c, t, x, y, w)
        y += dy
        h -= dy
    buttons = []
    if not sheet:
        if shown is None or r.random() < 0.4:
            s = c.text(x + 10, y + 6, name, t.big, t.fg, w - 20)
            shown = shown or s or None
            dy = int(t.big.size * 1.7)
            y += dy
            h -= dy
        if r.random() < 0.4:
            buttons = buttons_row(
                c,
                t,
                x + 10,
                y + 4,
                r.sample(("Add", "Delete", "Export", "Filter", "Refresh", "New", "Edit", "Print"), r.randint(1, 3)),
            )
            y += t.px + t.pad + 14
            h -= t.px + t.pad + 14
    cols = r.sample(
        (
            "Name",
            "Date",
            "Amount",
            "Status",
            "City",
            "ID",
            "Price",
            "Quantity",
            "Email",
            "Type",
            "Size",
            "Total",
            "Owner",
            "Time",
            "Product",
            "Score",
        ),
        r.randint(2, max(2, min(6, w // 90))),
    )
    rh, cw = t.px + r.randint(6, 14), (w - 20) / len(cols)
    start = len(c.items)

    def cell(col):
        return (
            person(r)
            if col in ("Name", "Owner")
            else date(r)
            if col == "Date"
            else clock(r)
            if col == "Time"
            else pick(r, ("Open", "Closed", "Paid", "Pending", "Failed", "Done", "Active", "New"))
            if col == "Status"
            else pick(r, assets().words).capitalize()
            if col in ("City", "Product", "Type")
            else user(r) + "@" + host(r)[-12:].lstrip(".")
            if col == "Email"
            else size(r)
            if col == "Size"
            else number(r)
        )

    grid = []
    for j in range(1 + min(14, int((h - 6) // rh) - 1)):
        yy = y + 2 + j * rh
        if j and r.random() < 0.06:
            break
        if j == 0:
            c.box(x + 8, yy, w - 16, rh, t.panel)
        elif j % 2 and r.random() < 0.3:
            c.box(x + 8, yy, w - 16, rh, t.bg)
        c.d.line((x + 8, yy + rh, x + w - 8, yy + rh), fill=t.border)
        grid.append(
            [
                c.text(
                    x + 14 + k * cw,
                    yy + (rh - t.px * 1.2) / 2,
                    col if j == 0 else cell(col),
                    t.bold if j == 0 else t.font,
                    t.fg,
                    cw - 12,
                )
                for k, col in enumerate(cols)
            ]
        )
    if sheet or r.random() < 0.3:
        for k in range(len(cols) + 1):
            c.d.line((x + 8 + k * cw, y + 2, x + 8 + k * cw, y + 2 + len(grid) * rh), fill=t.border)
    body = [g for g in grid[1:] if g[0]]
    say = f"The columns are {', '.join(cols)}." + (f' The first row is "{" ".join(v for v in body[0] if v)}".' if body else "")
    qa = [("Which columns are there?", ", ".join(cols)), ("How many rows are there?", str(len(body)))]
    for g in r.sample(body, min(3, len(body))):
        k = r.randint(1, len(cols) - 1)
        if g[k]:
            qa.append((f'What is the {cols[k]} of "{g[0]}"?', g[k]))
    return Truth(kind="spreadsheet" if sheet else "table", title=shown, lines=inside(c, start), buttons=buttons, say=say, qa=qa)


def chart(c, t, rect):
    r = c.r
    sort = pick(r, ("bar chart", "line chart", "pie chart", "bar chart"))
    name = pick(r, ("Sales", "Revenue", "Visitors", "Temperature", "Memory use", "Downloads", "Costs", "Votes", title(r)[:28]))
    name += pick(r, ("", f" {r.randint(2015, 2030)}", " by month", " per region"))
    (x, y, w, h), shown = window(c, t, rect, pick(r, ("Chart", "Dashboard", name, "Report")))
    start = len(c.items)
    hd = c.text(x + 16, y + 8, name, t.big, t.fg, w - 32)
    y += int(t.big.size * 1.8)
    h -= int(t.big.size * 1.8)
    n = r.randint(3, 6)
    cats = pick(
        r,
        (
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun"],
            ["North", "South", "East", "West", "Centre", "Coast"],
            ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"],
            [str(2018 + i) for i in range(6)],
            [words(r, 1)[:9].capitalize() for _ in range(6)],
        ),
    )[:n]
    v = [r.randint(5, 100) for _ in cats]
    v[r.randint(0, n - 1)] = 110
    cols = [tuple(r.randint(40, 220) for _ in range(3)) for _ in cats]
    L, T, B = x + 46, y + 8, y + h - t.px - 18
    cw = (w - 66) / n
    if sort == "pie chart":
        d = min(B - T, w * 0.5)
        a = 0
        for k, val in enumerate(v):
            e = a + 360 * val / sum(v)
            c.d.pieslice((L, T, L + d, T + d), a, e, fill=cols[k])
            a = e
            c.box(L + d + 20, T + k * (t.px + 10), t.px, t.px, cols[k])
            c.text(L + d + 28 + t.px, T + k * (t.px + 10) - 2, cats[k], t.font, t.fg)
    else:
        c.d.line((L, T, L, B, x + w - 12, B), fill=t.muted)
        for k in range(3):
            c.text(x + 8, B - (B - T) * k / 2.2 - t.px / 2, str(k * 50), t.small, t.muted)
        pts = []
        for k, val in enumerate(v):
            bx, top = L + 8 + k * cw, B - (B - T) * val / 115
            if sort == "bar chart":
                c.box(bx, top, cw * 0.65, B - top, cols[0] if n % 2 else cols[k])
            pts.append((bx + cw * 0.3, top))
            c.text(bx, B + 5, cats[k], t.small, t.fg, cw - 2)
        if sort == "line chart":
            c.d.line(pts, fill=cols[0], width=2)
    top = cats[v.index(max(v))]
    say = f'It shows a {sort} "{hd}" with {", ".join(cats)}; the highest is {top}.'
    return Truth(
        kind="chart",
        title=shown or hd or None,
        lines=inside(c, start),
        say=say,
        qa=[
            ("What kind of chart is it?", f"A {sort}."),
            ("Which is the highest?", top),
            ("What does the chart show?", hd or name),
        ],
    )


def files(c, t, rect):
    r = c.r
    folder = pick(r, PLACE)
    (x, y, w, h), shown = window(c, t, rect, pick(r, (folder, f"{folder} - Files", "File Manager", "Files")))
    bh = t.px + 14
    c.box(x, y, w, bh, t.panel, t.border)
    where = pick(r, (path(r), "Home / " + folder, "/home/" + user(r) + "/" + folder))
    where = c.text(x + 50, y + 5, where, t.font, t.fg, w - 70)
    y += bh
    h -= bh
    if w > 380 and r.random() < 0.6:
        sw = int(w * 0.2)
        c.box(x, y, sw, h, t.panel)
        for i, p in enumerate(r.sample(PLACE, min(9, int((h - 10) // (t.px + 12))))):
            icon(c, x + 8, y + 10 + i * (t.px + 12), t.px - 2)
            c.text(x + 14 + t.px, y + 8 + i * (t.px + 12), p, t.font, t.fg, sw - t.px - 18)
        x += sw
        w -= sw
    names, start, k = [], len(c.items), r.randint(3, 24)
    if r.random() < 0.5:  # details
        rh = t.px + r.randint(6, 14)
        c.text(x + 30, y + 4, "Name", t.bold, t.muted)
        c.text(x + w * 0.55, y + 4, "Size", t.bold, t.muted)
        c.text(x + w * 0.75, y + 4, "Modified", t.bold, t.muted, w * 0.22)
        for i in range(min(k, int((h - rh * 2) // rh))):
            yy = y + rh + 4 + i * rh
            icon(c, x + 8, yy + 1, t.px)
            if r.random() < 0.05:
                c.box(x + 2, yy - 2, w - 4, rh - 2, None, t.accent)
            s = c.text(x + 30, yy, filename(r), t.font, t.fg, w * 0.5 - 20)
            c.text(x + w * 0.55, yy, size(r), t.font, t.muted, w * 0.18)
            c.text(x + w * 0.75, yy, date(r), t.font, t.muted, w * 0.22)
            if s:
                names.append(s)
    else:
        cw, ch = int(t.px * 8), int(t.px * 4.5) + 20
        for i in range(k):
            gx, gy = x + 10 + (i % max(1, (w - 10) // cw)) * cw, y + 10 + i // max(1, (w - 10) // cw) * ch
            if gy + ch > y + h - t.px - 10:
                break
            icon(c, gx + cw / 2 - t.px * 1.5, gy, int(t.px * 2.6))
            f = filename(r)
            fw = min(t.font.getlength(f), cw - 8)
            s = c.text(gx + (cw - fw) / 2, gy + t.px * 2.9, f, t.font, t.fg, cw - 8)
            if s:
                names.append(s)
    c.text(x + 8, y + h - t.px - 6, f"{len(names)} items", t.small, t.muted)
    say = f"The folder is {where}. It holds " + (
        ", ".join(names[:4]) + (" and more." if len(names) > 4 else ".") if names else "nothing."
    )
    return Truth(
        kind="file manager",
        title=shown or folder,
        lines=inside(c, start),
        say=say,
        qa=[("How many items are there?", str(len(names))), ("Which folder is open?", where)]
        + ([("What is the first file?", names[0])] if names else []),
    )


def desktop(c, t, rect):
    r = c.r
    x, y, w, h = rect
    wallpaper(c, rect)
    names = []
    for i in range(r.randint(1, 10)):
        gx, gy = x + 16 + i // 5 * 96, y + 12 + i % 5 * int(t.px * 5.5)
        if gy + t.px * 5 > y + h - 30:
            continue
        icon(c, gx + 18, gy, int(t.px * 2.6))
        s = c.text(gx, gy + t.px * 3, pick(r, (filename(r), pick(r, PLACE))), t.font, (255, 255, 255), 92)
        if s:
            names.append(s)
    taskbar(c, t)
    return Truth(kind="desktop", lines=names, say="The icons are " + ", ".join(names[:5]) + "." if names else "It is empty.")
