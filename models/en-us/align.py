"""Aligns two strings of symbols, each source symbol with none to two target symbols, by hard EM. Standard library only."""
import collections
import math

MOST = 2


def pieces(target, j):
    return [tuple(target[j : j + k]) for k in range(min(MOST, len(target) - j) + 1)]


def best(source, target, cost):
    """The cheapest split of `target` over `source`: a list of tuples, or None if there is none; and its cost."""
    n, m = len(source), len(target)
    if m > MOST * n:
        return None, math.inf
    table = [[math.inf] * (m + 1) for _ in range(n + 1)]
    back = [[0] * (m + 1) for _ in range(n + 1)]
    table[0][0] = 0.0
    for i in range(n):
        row, following = table[i], table[i + 1]
        for j in range(m + 1):
            if row[j] == math.inf:
                continue
            for k in range(min(MOST, m - j) + 1):
                value = row[j] + cost(source[i], tuple(target[j : j + k]))
                if value < following[j + k]:
                    following[j + k] = value
                    back[i + 1][j + k] = k
    split, j = [], m
    for i in range(n, 0, -1):
        k = back[i][j]
        split.append(tuple(target[j - k : j]))
        j -= k
    return split[::-1], table[n][m]


def train(pairs, rounds=5):
    """A cost function `(source symbol, piece) -> cost` from pairs of symbol lists."""
    counts = collections.defaultdict(collections.Counter)
    # First guess: what stands at the same relative place belongs together.
    for source, target in pairs:
        n, m = len(source), len(target)
        for i, symbol in enumerate(source):
            j = i * m // n
            for at in (j - 1, j, j + 1):
                if 0 <= at < m:
                    counts[symbol][(target[at],)] += 1.0 if at == j else 0.5
            counts[symbol][()] += 0.3
    for _ in range(rounds):
        cost = costs(counts)
        counts = collections.defaultdict(collections.Counter)
        for source, target in pairs:
            split, value = best(source, target, cost)
            if split is None or value == math.inf:
                continue
            for symbol, piece in zip(source, split):
                counts[symbol][piece] += 1
    return costs(counts)


def costs(counts):
    totals = {symbol: sum(pieces.values()) for symbol, pieces in counts.items()}
    known = {}
    for symbol, found in counts.items():
        for piece, count in found.items():
            known[symbol, piece] = -math.log(count / totals[symbol])
    unseen = [9.0, 9.0, 14.0]

    def cost(symbol, piece):
        return known.get((symbol, piece), unseen[len(piece)])

    return cost
