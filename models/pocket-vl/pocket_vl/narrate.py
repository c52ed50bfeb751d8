"""From a screen's truth to words for somebody who cannot look.

First the kind of screen, its program and title; then what matters now (an error, a question, the focus, progress); then the
main text; last the buttons. What is in quotation marks stands on the screen letter by letter; what cannot be read is
called unreadable, never guessed.
"""

UNREADABLE = "unreadable"
ROOM = 400  # characters of a narration: 160 tokens hold about 440


def article(kind):
    return kind if kind.split()[0] in ("a", "an") else ("an " if kind[0] in "aeiou" else "a ") + kind


def capital(s):
    return s[:1].upper() + s[1:]


def bar(s):
    """Whether `s` is mostly a rule or a bar of one character, which nobody wants to hear."""
    return len(s) > 5 and max(s.count(c) for c in set(s)) > 0.6 * len(s)


def quoted(s):
    """In quotation marks, unless it has some itself."""
    return s if '"' in s else f'"{s}"'


def cut(s, most=110):
    """`s` or its beginning, ending with a whole word."""
    return s if len(s) <= most else s[:most].rsplit(" ", 1)[0]


def opening(T):
    """Kind, program and title in one sentence."""
    kind, app, title = article(T.kind), T.get("app"), T.title
    if T.get("over"):
        kind += f" over {article(T.over)}"
    out = capital(kind)
    if app and app.lower() not in kind.lower():
        out += f", {app}" if kind.endswith("in a terminal") else f" in {app}"
    if title and title != app:
        out += f", titled {quoted(cut(title, 80))}"
    return out + "."


def narrate(T, room=ROOM):
    """The narration of a truth, at most about `room` characters."""
    parts = [opening(T)]
    said = parts[0]
    if T.error:
        parts.append(f'Error: "{cut(T.error, 120)}"')
    if T.get("ask"):
        parts.append(f'It asks: "{cut(T.ask, 120)}"')
    parts += list(T.get("now") or [])[:2]
    if T.say and not (T.error and T.error in T.say and T.kind.endswith("dialog")) and not T.get("ask"):
        parts.append(T.say)
    buttons = [b for b in dict.fromkeys(T.buttons) if len(b) > 1][:6]
    tail = f"Buttons: {', '.join(buttons)}." if buttons else ""
    text = " ".join(parts)
    strings = []
    for m in T.get("main") or []:
        words, whole = m if isinstance(m, (list, tuple)) else (m, True)
        words = cut(words, 84)
        if bar(words) or words in text or any(words in s for s in strings) or words in said:
            continue
        s = quoted(words) if whole else words
        if len(text) + sum(map(len, strings)) + len(s) + len(tail) > room:
            break
        strings.append(s)
    if strings:
        parts.append("It shows " + ", ".join(strings) + ".")
    if tail:
        parts.append(tail)
    return " ".join(p for p in parts if p)


def unreadable(T):
    """What is said of a screen whose text cannot be read: its kind alone."""
    return f"{capital(article(T.kind))}. The text is {UNREADABLE}."
