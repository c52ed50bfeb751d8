"""Questions about a screen with their answers, from its truth."""

from .phrases import beside, rephrased
from .narrate import UNREADABLE, article, capital, cut, narrate, unreadable
from .text import anything, pick


Q_SAY = (
    "Describe the screen.|What is on the screen?|Narrate this screen.|Describe what is on the screen.|What do you see?|Describe this image.|Describe what is on the screen and what just changed.|"
    "Tell me what is on my screen.|Describe this screenshot.|Narrate the screen in one to three sentences."
).split("|")
Q_TITLE = "What is the title?|What is the title of the window?|Read the title.|What is the window called?".split("|")
Q_KIND = (
    "What kind of program is this?|What kind of window is this?|What kind of screen is this?|What kind of page is this?".split(
        "|"
    )
)
Q_APP = "What program is this?|Which application is open?|Which program is open?|What is the program called?|Which site is this?|What app is this?".split(
    "|"
)
Q_STATE = "What needs my attention?|What matters now?|Is anything asked of me?|What should I know?".split("|")
Q_FOCUS = "What has the focus?|What is selected?|Where is the cursor?".split("|")
Q_ERROR = (
    "Is there an error?|Is an error shown?|Did something go wrong?|Is there an error message? What does it say?|Any errors?|"
    "Is there an error, and what does it say?|Is anything wrong?"
).split("|")
Q_WHAT = "What is the error?|What does the error say?|What went wrong?|Which error is shown?|Read the error message.".split("|")
Q_BUTTONS = (
    "Which buttons are there?|What buttons can I press?|List the buttons.|Which buttons are shown?|What are the buttons?".split(
        "|"
    )
)
Q_FIRST = "Read the first line.|What is the first line?|What does the first line say?".split("|")
Q_LAST = "Read the last line.|What is the last line?|What does the last line say?".split("|")
Q_READ = "Read the text.|Read everything.|What does it say?|Read it to me.|Transcribe the text.".split("|")


def program(T):
    """Kind and name of the program in one answer."""
    kind = capital(article(T.kind))
    return f"{kind}: {T.app}." if T.get("app") and T.app.lower() not in kind.lower() else kind + "."


def attention(T):
    """What matters now, in a sentence."""
    if T.error:
        return f'There is an error: "{cut(T.error, 120)}"'
    if T.get("ask"):
        return f'It asks: "{cut(T.ask, 120)}"'
    return " ".join(list(T.get("now") or [])[:1]) or "Nothing special."


def reading(r, L, loose):
    """Questions that are answered by reading. `loose`: the lines stand in several columns, so none is the next."""
    qa = []
    if not loose:
        qa += [(pick(r, Q_FIRST), L[0]), (pick(r, Q_LAST), L[-1])]
        n = r.randint(2, 6)
        if len(L) >= n:
            qa.append((f"Read the first {n} lines.", "\n".join(L[:n])))
        if sum(map(len, L)) < 500:
            qa.append((pick(r, Q_READ), "\n".join(L)))
        for _ in range(2):
            k = r.randint(0, len(L) - 1)
            if k + 1 < len(L) and L.count(L[k]) == 1:
                s = cut(L[k], 40)
                qa.append((pick(r, (f'Read the line after "{s}".', f'Which line comes after "{s}"?')), L[k + 1]))
    starts = {}
    for l in L:
        ws = l.split()
        starts.setdefault(" ".join(ws[: 1 if len(ws) < 4 and len(ws[0]) > 3 else r.choice((2, 2, 3))]), []).append(l)
    for s in r.sample(list(starts), min(4, len(starts))):
        if sum(l.startswith(s) for l in L) == 1 and len(starts[s][0]) > len(s) + 3:
            qa.append((pick(r, (f'Read the line that begins with "{s}".', f'What follows "{s}"?')), starts[s][0]))
    return qa


def questions(r, T, shown, blurred=False):
    """(question, answer) pairs of a scene, shuffled; `shown` are all strings on the screen.

    `blurred`: nothing can be read; then only the kind is known, and every text is unreadable.
    """
    kind = capital(article(T.kind)) + "."
    if blurred:
        qa = [
            (pick(r, Q_SAY), unreadable(T)),
            (pick(r, Q_KIND), kind),
            (pick(r, Q_TITLE), capital(UNREADABLE) + "."),
            (pick(r, Q_FIRST + Q_LAST + Q_READ), capital(UNREADABLE) + "."),
        ]
        r.shuffle(qa)
        return qa
    L = [l for l in T.lines if l]
    first = [(pick(r, Q_SAY), narrate(T))]
    qa = [
        (pick(r, Q_TITLE), T.title or "There is no title."),
        (pick(r, Q_KIND), kind),
        (pick(r, Q_ERROR), f"Yes: {T.error}" if T.error else "No."),
        *([(pick(r, Q_WHAT), T.error or "There is no error.")] if T.error or r.random() < 0.2 else []),
        (pick(r, Q_BUTTONS), ", ".join(T.buttons[:9]) + "." if T.buttons else "There are no buttons."),
    ]
    if r.random() < 0.5:
        qa.append((pick(r, Q_APP), program(T)))
    if r.random() < 0.4:
        qa.append((pick(r, Q_STATE), attention(T)))
    if r.random() < 0.3 and T.get("now"):
        qa.append((pick(r, Q_FOCUS), T.now[0]))
    if L:
        qa += reading(r, L, T.get("loose"))
    if T.get("boxes"):
        qa += beside(r, T["boxes"], T["width"])[:2]
    if shown:
        s = pick(r, shown)
        qa.append(
            (f'Is "{cut(s, 40)}" on the screen?', "Yes.")
            if r.random() < 0.5
            else (f'Is "{cut(anything(r, 30), 40)}" on the screen?', "No.")
        )
    own = list(T.qa)
    r.shuffle(own)
    qa += [rephrased(r, q, a) for q, a in own[:8]]
    r.shuffle(qa)
    qa = first + qa if r.random() < 0.7 else qa + first  # the narration mostly comes first: that is how it will be asked
    return [(q, a) for q, a in qa if a]
