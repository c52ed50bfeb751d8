"""Scores on screens whose truth is known: the issue's own measures, from the truth that was drawn.

For one narration: key-string recall, kind, program and title named, error mentioned or invented, claims (quotations,
names, numbers) that stand nowhere on the screen, and `0.4 recall + 0.15 kind + 0.1 app + 0.15 title + 0.2 error - 0.5 false`.
"""

import difflib, re, statistics, unicodedata

TROUBLE = re.compile(
    r"\b(error|fail|incorrect|invalid|wrong|not found|cannot|could not|can't|unable|denied|refused|problem|down|missing|lost|expired|locked|declined)"
)
ALARM = re.compile(r"\b(errors?|failed|failure|fails|crash(?:ed)?|exception|traceback)\b")
NO_TROUBLE = re.compile(r"\b(?:no|without|not an?) (?:\w+ )?(?:error|fail|problem|crash)\w*")


def plain(s):
    """Lower case, one space between words, no marks at their ends."""
    s = unicodedata.normalize("NFKD", str(s).lower()).translate({0x2019: "'", 0x2212: "-", 0x2013: "-", 0x2014: "-"})
    words = (w.strip(".,:;!?\"'()[]-/") or w for w in s.split())
    return " ".join(w for w in words if any(c.isalnum() for c in w) or w == "%")


def near(needle, hay, enough=0.82):
    """Whether `needle` stands in `hay`, both plain, letter by letter or nearly."""
    if not needle:
        return False
    if f" {needle} " in f" {hay} ":
        return True
    n, words = len(needle.split()), hay.split()
    if len(needle) < 5:
        return False
    for size in range(max(1, n - 1), n + 2):
        for i in range(len(words) - size + 1):
            m = difflib.SequenceMatcher(None, needle, " ".join(words[i : i + size]), autojunk=False)
            if m.real_quick_ratio() >= enough and m.quick_ratio() >= enough and m.ratio() >= enough:
                return True
    return False


def claims(text):
    """What the narration says stands on the screen: quotations, file names and addresses, numbers above 12."""
    quoted = re.findall(r'"([^"\n]{2,160})"', text)
    rest = re.sub(r'"[^"\n]*"', " ", text)
    names = re.findall(r"[~/]?[\w-]+(?:/[\w.-]+)+|[\w.+-]+@[\w.-]+|[\w-]+\.[a-z]{1,5}\b|\w+_\w+", rest)
    for n in names:
        rest = rest.replace(n, " ")
    numbers = [x for x in re.findall(r"(?<![\w.,:/-])\d+(?:[.,:]\d+)*(?![\w/])", rest) if not (x.isdigit() and int(x) <= 12)]
    return quoted + names + numbers


def unsupported(text, seen):
    """The claims that stand nowhere on the screen."""
    squeezed = seen.replace(" ", "")
    return [
        c
        for c in claims(text)
        if (q := plain(c)) and q.replace(" ", "") not in squeezed and not near(q, seen, 0.85) and q != "unreadable"
    ]


def narration(T, shown, text):
    """The measures of one narration; `shown`: all strings on the screen."""
    said, seen = plain(text), plain(" ".join(shown + [T.title or "", T.get("app") or "", *T.buttons]))
    keys = [
        k
        for k in dict.fromkeys(
            [
                T.title,
                T.error,
                T.get("ask"),
                *[m[0] if isinstance(m, (list, tuple)) else m for m in T.get("main") or []][:5],
                *T.buttons[:3],
            ]
        )
        if k
    ]
    hits = sum(near(plain(k)[:80].strip(), said) for k in keys)
    calm = NO_TROUBLE.sub(" ", said)
    error = bool(TROUBLE.search(calm)) if T.error else not any(w not in seen for w in ALARM.findall(calm))
    all_claims, false = claims(text), unsupported(text, seen)
    out = dict(
        recall=hits / len(keys) if keys else 1.0,
        kind=plain(T.kind) in said,
        app=not T.get("app") or near(plain(T.app), said),
        title=not T.title or near(plain(T.title)[:80].strip(), said),
        error=error,
        has_error=bool(T.error),
        claims=len(all_claims),
        false=len(false),
    )
    share = len(false) / len(all_claims) if all_claims else 0.0
    out["score"] = max(
        0.0, 0.4 * out["recall"] + 0.15 * out["kind"] + 0.1 * out["app"] + 0.15 * out["title"] + 0.2 * error - 0.5 * share
    )
    return out


def mean(records, key):
    return round(statistics.fmean(float(x[key]) for x in records), 3) if records else None


def table(records):
    """The means of many narrations."""
    out = {k: mean(records, k) for k in ("score", "recall", "kind", "app", "title")}
    out["errors_mentioned"] = mean([x for x in records if x["has_error"]], "error")
    out["errors_not_invented"] = mean([x for x in records if not x["has_error"]], "error")
    total = sum(x["claims"] for x in records)
    out["false_claims"] = round(sum(x["false"] for x in records) / total, 3) if total else 0.0
    out["n"] = len(records)
    return out


def answered(answer, truth):
    """Whether the answer holds the truth, at word borders."""
    return bool(plain(truth)) and f" {plain(truth)} " in f" {plain(answer)} "
