"""Pages of the web: documentation, shops, articles, search, forums, banks, travel, weather."""

from .look import Spec, esc
from .parts import *


def docs(r):
    app = brand(r, ("Docs", "Guide", "Handbook", "Reference", "Wiki"))
    head, sections = title(r), [title(r)[:30] for _ in range(r.randint(5, 14))]
    on = pick(r, sections)
    paras = [paragraph(r, r.randint(1, 3)) for _ in range(r.randint(2, 5))]
    code = [pick(r, assets().code)[:70] for _ in range(r.randint(2, 7))]
    note, version = prose(r, 100), f"v{r.randint(0, 9)}.{r.randint(0, 30)}" + r.choice(("", f".{r.randint(0, 9)}"))
    sub = title(r)[:40]
    word = pick(r, ("Note", "Warning", "Tip", "Important"))
    body = topbar(
        r,
        app,
        r.sample(("Guide", "API", "Blog", "Download", "GitHub", "Tutorial", "FAQ"), r.randint(2, 4)),
        f'<span class="muted">{version}</span>' + (f'<input placeholder="Search docs" style="width:{r.randint(120, 220)}px">' if r.random() < 0.6 else ""),
    )
    article = (
        f"<h1>{esc(head)}</h1><p>{esc(paras[0])}</p>"
        + (f"<pre>{esc(chr(10).join(code))}</pre>" if r.random() < 0.8 else "")
        + f"<h2>{esc(sub)}</h2>"
    )
    article += (f'<div class="card"><b>{word}</b> {esc(note)}</div>' if r.random() < 0.5 else "") + "".join(
        f"<p>{esc(p)}</p>" for p in paras[1:]
    )
    body += f'<div class="fill">{nav(r, sections, on, width=r.randint(150, 260))}<div class="main prose">{article}</div></div>'
    return Spec(
        kind="documentation page",
        app=app,
        title=head,
        body=body,
        main=[version, paras[0], sub, code[0], note],
        now=[f'The section "{on}" is selected.'],
        qa=[
            ("What is the page about?", head),
            ("Which version is shown?", version),
            ("Which section is selected?", on),
            ("What is the first line of the code?", code[0].strip()),
            (f"What does the {word.lower()} say?", note),
        ],
    )


def shop(r):
    app = brand(r, ("Shop", "Store", "Market", "Outlet"))
    cats = r.sample(
        ("Garden", "Kitchen", "Sports", "Books", "Toys", "Office", "Lighting", "Clothes", "Music", "Tools"), r.randint(4, 7)
    )
    on = pick(r, cats)
    items = [(product(r), price(r), r.random() < 0.15, f"{r.randint(1, 5)}.{r.randint(0, 9)}") for _ in range(r.randint(3, 12))]
    cart = r.randint(0, 9)
    head = r.choice((on, f"{on} sale", f'{len(items)} results for "{pick(r, PRODUCT).lower()}"', title(r)[:30]))
    cell = "".join(
        f'<div class="card"><div class="pic" style="height:{h}px"></div><div><b>{esc(n.capitalize())}</b></div><div class="row"><span>{esc(p)}</span>'
        + (f'<span class="muted small">{s} stars</span>' if r.random() < 0.5 else "")
        + "</div>"
        + ('<div class="err small">Sold out</div>' if off else f'<button class="primary">{add}</button>')
        + "</div>"
        for h, add in [(r.randint(40, 130), pick(r, ("Add to cart", "Buy", "Add to basket", "Buy now")))]
        for n, p, off, s in items
    )
    body = topbar(r, app, cats, f"<b>Cart ({cart})</b>")
    body += f'<div class="main"><h1>{esc(head)}</h1><div class="grid" style="grid-template-columns:repeat({r.randint(2, 5)},1fr)">{cell}</div></div>'
    gone = [n.capitalize() for n, _, off, _ in items if off]
    qa = [("How many items are in the cart?", str(cart)), ("What is the heading?", head)]
    qa += [("Which product is sold out?", ", ".join(gone) or "None."), ("Which category is shown?", head)]
    for n, p, off, _ in items[:4]:
        qa += [
            (f"What is the price of the {n.capitalize()}?", p),
            (f"How much is the {n.capitalize()}?", p),
            (f"Is the {n.capitalize()} sold out?", "Yes." if off else "No."),
        ]
    cheapest = min(items, key=lambda i: float("".join(c for c in i[1] if c.isdigit() or c == ".")))
    qa.append(("Which product is first?", items[0][0].capitalize()))
    qa.append(("Which product is the cheapest?", cheapest[0].capitalize()))
    return Spec(
        kind="online shop",
        app=app,
        title=head,
        body=body,
        main=[f"{n.capitalize()} {p}" for n, p, _, _ in items[:5]],
        now=[f"The cart holds {cart} items." if cart != 1 else "The cart holds 1 item."][:cart]
        + [f'"{n}" is sold out.' for n in gone[:1]],
        qa=qa,
        steps=[
            (
                "document.querySelector('.bar b:last-child').textContent='Cart (%d)'" % (cart + 1),
                f"The cart now holds {cart + 1} items.",
            )
        ],
    )


def product_page(r):
    app, name, cost = brand(r, ("Shop", "Store")), product(r).capitalize(), price(r)
    text, stock = paragraph(r, 2), pick(r, ("In stock", "Only 2 left", "Out of stock", "Ships in 3 days"))
    names = [pick(r, ("Add to cart", "Buy now")), pick(r, ("Add to wish list", "Compare", "Share"))]
    body = topbar(r, app, ("Home", "Sale", "Contact"), "Cart") + (
        f'<div class="fill"><div class="main"><div class="pic" style="height:70%"></div></div><div class="main"><h1>{esc(name)}</h1><div class="big">{esc(cost)}</div>'
        f'<p class="{"err" if stock == "Out of stock" else "good"}">{stock}</p><p>{esc(text)}</p>{buttons(r, names)}</div></div>'
    )
    return Spec(
        kind="product page of an online shop",
        app=app,
        title=name,
        body=body,
        main=[cost, stock, text],
        qa=[("What is the price?", cost), ("Is it in stock?", stock), ("What is the product called?", name)],
    )


def cart(r):
    app, items = brand(r, ("Shop", "Store")), money_rows(r, 4)[: r.randint(1, 4)]
    total, head = price(r), pick(r, ("Your cart", "Shopping basket", "Checkout", "Order summary"))
    error = r.choice(
        (
            None,
            None,
            f"{items[0][0]} is no longer available.",
            "The card was declined.",
            "Please choose a delivery method.",
            "The voucher code is not valid.",
        )
    )
    box = f'<div class="errbox">{esc(error)}</div>' if error else ""
    names = [pick(r, ("Check out", "Place order", "Pay now")), "Continue shopping"]
    body = (
        topbar(r, app, ("Home", "Help"))
        + f'<div class="main"><h1>{head}</h1>{box}{table(("Product", "Quantity", "Price"), items)}<p class="big">Total: {esc(total)}</p>{buttons(r, names)}</div>'
    )
    return Spec(
        kind="shopping cart",
        app=app,
        title=head,
        body=body,
        error=error,
        main=[f"Total: {total}"] + [f"{a} {c}" for a, b, c in items],
        qa=[("What is the total?", total), ("How many products are listed?", str(len(items)))]
        + [(f"How many of {a} are ordered?", b) for a, b, c in items[:2]],
    )


def article_page(r):
    app, head = brand(r, ("News", "Times", "Blog", "Post", "Daily")), title(r)
    by, when = person(r), date(r)
    paras = [paragraph(r, r.randint(2, 4)) for _ in range(5)]
    more = [title(r) for _ in range(4)]
    body = topbar(r, app, r.sample(("World", "Politics", "Science", "Sport", "Culture", "Opinion", "Weather"), r.randint(3, 6)))
    aside = (
        f'<div style="width:{r.randint(180, 280)}px" class="main"><h3>{pick(r, ("Most read", "Related", "Latest"))}</h3>'
        + "".join(f"<p><a>{esc(m)}</a></p>" for m in more)
        + "</div>"
        if r.random() < 0.5
        else ""
    )
    pic = f'<div class="pic" style="height:{r.randint(60, 200)}px"></div>' if r.random() < 0.4 else ""
    body += (
        f'<div class="fill"><div class="main prose"><h1>{esc(head)}</h1><p class="muted">{esc(f"By {by}, {when}")}</p>{pic}'
        + "".join(f"<p>{esc(p)}</p>" for p in paras)
        + f"</div>{aside}</div>"
    )
    return Spec(
        kind=pick(r, ("news article", "news article", "blog post")),
        app=app,
        title=head,
        body=body,
        main=[f"By {by}, {when}", paras[0], paras[1]],
        qa=[("Who wrote the article?", by), ("What is the headline?", head), ("When was it published?", when)],
    )


def search_page(r):
    app, q = brand(r, ("Search",)), words(r, r.randint(1, 3)).lower()
    hits = [(title(r), host(r) + "/" + stem(r), prose(r)) for _ in range(r.randint(2, 7))]
    n = f"{r.randint(2, 999)},{r.randint(100, 999)} results"
    none = r.random() < 0.12
    body = (
        f'<div class="bar"><b>{esc(app)}</b><input class="grow" value="{esc(q)}"><button>Search</button></div><div class="main">'
    )
    body += (
        f'<h2>No results found for "{esc(q)}"</h2>'
        if none
        else f'<p class="muted small">{n}</p>'
        + "".join(
            f'<div style="margin-bottom:.8em"><a class="nowrap" style="font-size:1.15em">{esc(t)}</a><div class="small good">{esc(u)}</div><div class="small">{esc(s)}</div></div>'
            for t, u, s in hits
        )
    ) + "</div>"
    return Spec(
        kind="search results page",
        app=app,
        title=q,
        body=body,
        main=[f'No results found for "{q}"'] if none else [n] + [h[0] for h in hits[:4]],
        qa=[
            ("What was searched for?", q),
            ("How many results are there?", "None." if none else n),
            ("What is the first result?", "None." if none else hits[0][0]),
        ],
    )


def forum(r):
    app, rows = (
        brand(r, ("Forum", "Community", "Board", "Social")),
        [(title(r), user(r), r.randint(0, 400)) for _ in range(r.randint(4, 10))],
    )
    head = pick(r, ("Latest topics", "Trending", "All discussions", "Your feed", "Questions"))
    body = (
        topbar(r, app, ("Topics", "Members", "Rules"), '<button class="primary">New topic</button>')
        + f'<div class="main"><h1>{head}</h1>'
        + "".join(
            f'<div class="card row" style="margin-bottom:.4em"><div class="grow"><b class="nowrap">{esc(t)}</b><div class="muted small">by {esc(u)}</div></div><span class="muted">{n} replies</span></div>'
            for t, u, n in rows
        )
        + "</div>"
    )
    return Spec(
        kind="forum",
        app=app,
        title=head,
        body=body,
        main=[t for t, _, _ in rows[:4]],
        qa=[("What is the first topic?", rows[0][0])] + [(f'How many replies has "{t[:40]}"?', str(n)) for t, _, n in rows[:3]],
    )


def bank(r):
    app, bal = brand(r, ("Bank", "Pay", "Wallet")), price(r)
    rows = [(date(r), r.choice((person(r), brand(r))), r.choice("-+") + price(r)) for _ in range(r.randint(3, 9))]
    acc = pick(r, ("Current account", "Savings", "Business account", "Credit card"))
    body = (
        topbar(r, app, ("Accounts", "Payments", "Cards"), "Log out")
        + f'<div class="main"><div class="card"><span class="muted">{acc}</span><div class="big">{esc(bal)}</div></div><h2>Recent transactions</h2>{table(("Date", "Name", "Amount"), rows)}{buttons(r, ["Send money", "Statements"])}</div>'
    )
    return Spec(
        kind="bank account page",
        app=app,
        title=acc,
        body=body,
        main=[bal] + [" ".join(x) for x in rows[:3]],
        qa=[("What is the balance?", bal), ("What is the latest transaction?", " ".join(rows[0]))]
        + [(f"How much was {b}?", c) for _, b, c in rows[:2]],
    )


def booking(r):
    app, a, b = brand(r, ("Rail", "Air", "Travel", "Trips")), *r.sample(CITY, 2)
    rows = [
        (
            f"{r.randint(4, 22):02}:{r.randint(0, 59):02}",
            f"{r.randint(5, 23):02}:{r.randint(0, 59):02}",
            price(r),
            r.choice(("On time", "On time", "Delayed", "Cancelled")),
        )
        for _ in range(r.randint(3, 6))
    ]
    head, when = f"{a} to {b}", date(r)
    body = (
        topbar(r, app, ("Book", "My trips", "Help"))
        + f'<div class="main"><h1>{head}</h1><p class="muted">{when}, {r.randint(1, 4)} travellers</p>'
        + "".join(
            f'<div class="card row" style="margin-bottom:.5em"><b>{x[0]} - {x[1]}</b><span class="{"err" if x[3] == "Cancelled" else "muted"} grow">{x[3]}</span><b>{esc(x[2])}</b><button class="primary">Select</button></div>'
            for x in rows
        )
        + "</div>"
    )
    return Spec(
        kind="travel booking page",
        app=app,
        title=head,
        body=body,
        main=[when] + [f"{x[0]} - {x[1]}" for x in rows[:3]] + [rows[0][2]],
        qa=[
            ("Where does the trip go?", b),
            (f"What does the trip at {rows[0][0]} cost?", rows[0][2]),
            (f"When does the {rows[0][0]} arrive?", rows[0][1]),
        ]
        + [(f"Is the trip at {x[0]} cancelled?", "Yes." if x[3] == "Cancelled" else "No.") for x in rows[:2]],
    )


def weather(r):
    app, c, t = brand(r, ("Weather", "Forecast")), pick(r, CITY), r.randint(-9, 36)
    sky = pick(r, ("Sunny", "Cloudy", "Light rain", "Snow", "Fog", "Thunderstorm"))
    days = [(d, f"{r.randint(-5, 36)}°") for d in DAYS[: r.randint(4, 7)]]
    body = (
        topbar(r, app, ("Today", "Hourly", "Radar"))
        + f'<div class="main"><h1>{c}</h1><div class="row"><span class="pic" style="width:80px;height:80px"></span><div><div style="font-size:3em">{t}°</div>{sky}</div></div><p class="muted">Wind {r.randint(1, 60)} km/h, humidity {r.randint(20, 99)}%</p><div class="grid" style="grid-template-columns:repeat({len(days)},1fr)">'
        + "".join(f'<div class="card"><b>{d[:3]}</b><div>{x}</div></div>' for d, x in days)
        + "</div></div>"
    )
    return Spec(
        kind="weather page",
        app=app,
        title=c,
        body=body,
        main=[f"{t}°", sky] + [f"{d[:3]} {x}" for d, x in days[:4]],
        qa=[("How warm is it?", f"{t}°"), ("What is the weather like?", sky), ("Which city is shown?", c)],
    )


PAGES = [
    (docs, 6),
    (shop, 6),
    (product_page, 2),
    (cart, 3),
    (article_page, 4),
    (search_page, 2),
    (forum, 2),
    (bank, 2),
    (booking, 2),
    (weather, 2),
]
