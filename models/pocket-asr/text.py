"""What is said in the training data: sentences from free texts of Debian packages, phrases cut out of them, and sentences
made from `templates.py`. A line of the file is what a voice reads: small letters, numbers as words, punctuation for its
melody. `label` is what the recogniser has to answer: the same without punctuation.

    text.py build UNPACKED_PACKAGES OUT.xz [--apart-from ref.tsv]    # never a sentence that is in the scoring set
    text.py tokens OUT.xz tokenizer.json                             # byte-pair pieces
"""
import argparse
import gzip
import html
import lzma
import random
import re
import sys
import unicodedata
import zlib
from collections import Counter
from pathlib import Path

from templates import sentences as made_up

N_PIECES = 512
ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen").split()
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
IRREGULAR = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth"}
SHORT = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "etc": "et cetera", "vs": "versus", "ok": "okay",
         "e.g": "for example", "i.e": "that is", "prof": "professor", "jr": "junior"}
SPOKEN = re.compile(r"[a-z' ,.!?;:]+")


def cardinal(n):
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + (" " + ONES[n % 10] if n % 10 else "")
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if n >= size:
            return cardinal(n // size) + " " + name + (" " + cardinal(n % size) if n % size else "")
    raise ValueError(n)


def ordinal(n):
    *head, last = cardinal(n).split()
    last = IRREGULAR.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return " ".join([*head, last])


def year(n):
    head, tail = divmod(n, 100)
    if 2000 <= n < 2010:
        return cardinal(n)
    return cardinal(head) + (" hundred" if tail == 0 else " oh " + ONES[tail] if tail < 10 else " " + cardinal(tail))


def _number(match):
    digits, ending = match[1].replace(",", ""), match[2]
    n = int(digits)
    if len(digits) > 9:
        return " ".join(ONES[int(d)] for d in digits)
    if ending:
        return ordinal(n)
    return year(n) if 1100 <= n <= 2099 and "," not in match[1] else cardinal(n)


def spoken(text):
    """What a voice reads, or None where it is not clear how to read it."""
    text = html.unescape(text).replace("\u2019", "'").replace("\u2018", "'").replace("`", "'")
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = re.sub(r"[\"\u201c\u201d()\[\]{}*_]|''", " ", text)
    text = re.sub(r"\s(--+|\u2014|\u2013|-)\s|--+|\u2014|\u2013|\.\.\.+|\u2026", ", ", text).replace("&", " and ")
    text = re.sub(r"\b([A-Za-z.]+)\.(?=\s)", lambda m: SHORT.get(m[1].lower(), m[0]), text)
    text = re.sub(r"\$(\d[\d,]*)(?![\d.])", r"\1 dollars", text)
    text = re.sub(r"(\d)\s?%", r"\1 percent", text)
    text = re.sub(r"(\d)\.(\d+)\b", lambda m: m[1] + " point " + " ".join(ONES[int(d)] for d in m[2]), text)
    text = re.sub(r"\b(\d{1,3}(?:,\d{3})+|\d+)(st|nd|rd|th)?\b", _number, text)
    text = re.sub(r"\b([A-Z]{2,5})\b(?!')", lambda m: " ".join(m[1]) if not re.search("[AEIOUY]", m[1]) or len(m[1]) < 4 else m[1], text)
    text = re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])|/", " ", text)
    text = re.sub(r"(?<![a-z])'(?=[a-z])|(?<=[a-z])'(?![a-z])", lambda m: "" if m.start() == 0 else " ", text, flags=re.I)
    text = re.sub(r"\s+([,.!?;:])", r"\1", re.sub(r"\s+", " ", text.lower())).strip(" ,;:'")
    text = re.sub(r"([,.!?;:])[,.!?;: ]*(?=[,.!?;:])", "", text)
    return text if SPOKEN.fullmatch(text) and re.search("[a-z]", text) else None


def label(text):
    """The words that are heard."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text).split())


# --- sources: each gives raw sentences -----------------------------------------------------------------------------------------

def _split(text):
    text = re.sub(r"\s+", " ", text)
    return [s.strip() for s in re.split(r"(?<=[.!?])[\"')]* (?=[\"'(]*[A-Z])", text)]


def wordnet(root):
    for part in ("noun", "verb", "adj", "adv"):
        for line in (root / f"usr/share/wordnet/data.{part}").read_text(errors="ignore").splitlines():
            if " | " in line and not line.startswith("  "):
                gloss = line.split(" | ", 1)[1]
                yield from (s.strip() for s in re.findall(r'"([^"]+)"', gloss))
                plain = re.sub(r'"[^"]*"?|\([^)]*\)', "", gloss)
                yield from (s.strip() for s in plain.split(";"))


def fortunes(root):
    for path in sorted((root / "usr/share/games/fortunes").glob("*")):
        if "." not in path.name and path.name not in ("ascii-art", "translate-me", "tao"):
            for item in path.read_text(errors="ignore").split("\n%\n"):
                yield from _split(re.sub(r"\n\s*--.*", "", item, flags=re.S))


def novels(root):
    """Jane Austen's six, as R keeps them: strings with a length before each, in compressed parts."""
    blob = (root / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb").read_bytes()
    at = 0
    while at + 4 < len(blob):
        found = re.compile(rb"\x78[\x01\x5e\x9c\xda]").search(blob, at)
        if not found:
            return
        try:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(blob[found.start():])
            at = len(blob) - len(unpacker.unused_data)
        except zlib.error:
            at = found.start() + 1
            continue
        lines, i = [], 0
        while (i := data.find(b"\x00\x04\x00\x09", i)) >= 0:
            size = int.from_bytes(data[i + 4:i + 8], "big")
            if size < 400:
                lines.append(data[i + 8:i + 8 + size].decode(errors="ignore"))
                i += 7 + max(size, 1)
            i += 1
        yield from _split("\n".join(lines))


def pages(paths):
    for path in paths:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode(errors="ignore")
        if path.suffix != ".gz":
            text = re.sub(r"<(script|style|pre|code|cmd)[^>]*>.*?</\1>", " x_x ", text, flags=re.S)
            text = re.sub(r"</(p|li|h\d|title|td|dt|item)>", ". ", text)
            text = re.sub(r"<[^>]+>", " ", text)
        yield from _split(text)


def sources(root):
    """(kind, most sentences, how they are got)."""
    docs = lambda pattern: pages(sorted(root.glob(pattern)))  # noqa: E731
    return [("wordnet", 130000, wordnet(root)), ("fortunes", 20000, fortunes(root)), ("novels", 40000, novels(root)), ("essays", 45000, docs("usr/share/doc/anarchism/html/*.html")),
            ("jargon", 12000, docs("usr/share/doc/jargon-text/jargon.txt.gz")),
            ("help", 20000, docs("usr/share/help/C/**/*.page")), ("manual", 8000, docs("usr/share/debian-reference/*.en.html"))]


def cut(rng, text):
    """A run of one to five words out of a sentence."""
    words = label(text).split()
    n = min(len(words), rng.choice((1, 2, 2, 3, 3, 4, 5)))
    start = rng.randrange(len(words) - n + 1)
    return " ".join(words[start:start + n])


def build(root, apart, seed=1):
    rng = random.Random(seed)
    refs = {label(r) for r in apart}
    long_refs = [r for r in refs if len(r.split()) >= 4]
    taken, lines, counts = set(), [], Counter()

    def add(kind, text):
        words = label(text)
        if words in taken or words in refs or any(r in words for r in long_refs):
            return False
        taken.add(words)
        lines.append(text)
        counts[kind] += 1
        return True

    raw = []
    for kind, most, found in sources(root):
        kept = []
        for sentence in found:
            if 3 <= len(sentence) <= 260:
                text = spoken(sentence)
                if text:
                    for part in [text] if len(text) <= 130 else re.split(r"(?<=[,;:]) ", text):
                        part = part.strip(" ,;:")
                        n = len(label(part).split())
                        if len(part) <= 130 and 1 <= n <= 24:
                            kept.append(part)
        rng.shuffle(kept)
        raw.append((kind, kept[:most]))
    known = Counter(w for _, kept in raw for s in kept for w in label(s).split())
    pieces = []
    for kind, kept in raw:
        for text in kept:
            words = label(text).split()
            odd = re.search(r"(?<![a-z'] )\b(?<!')[b-hj-np-z]\b(?! [a-z]\b)|x x", " ".join(words))  # what is left of a symbol
            if sum(known[w] < 4 for w in words) <= len(words) / 6 and not odd:
                if add(kind, text):
                    pieces.append(text)
    for text in rng.sample(pieces, min(len(pieces), 70000)):
        add("phrase", cut(rng, text))
    common = [w for w, n in known.most_common(30000) if n >= 4 and len(w) > 1]
    for word in common[:16000]:
        add("word", word)
    for _ in range(9000):  # words that say nothing together, so that ears count for more than habit
        add("words", " ".join(rng.choices(common[:9000], k=rng.choice((2, 3, 4, 5, 6)))))
    for kind, text in made_up(rng, 150000):
        add(kind, text)
    rng.shuffle(lines)
    return lines, counts


def read(path):
    return lzma.decompress(Path(path).read_bytes()).decode().splitlines()


def train_pieces(lines, path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="\u2581", prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=N_PIECES, special_tokens=["<unk>"], limit_alphabet=64)
    tokenizer.train_from_iterator((label(line) for line in lines), trainer)
    tokenizer.save(str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["build", "tokens"])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--apart-from", type=Path)
    args = parser.parse_args()
    if args.what == "tokens":
        train_pieces(read(args.source), args.out)
        return 0
    apart = [line.split("\t")[1] for line in args.apart_from.read_text().splitlines() if "\t" in line] if args.apart_from else []
    lines, counts = build(args.source, apart)
    args.out.write_bytes(lzma.compress("\n".join(lines).encode(), preset=9))
    print(len(lines), "sentences", dict(counts), args.out.stat().st_size, "bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
