"""Greedy answers for a batch of pictures of one size, with the quote guard that keeps the narrator from inventing.

The guard: inside quotation marks every token must be likelier than `doubt`. The first that is not ends the quotation
there (at the last whole word), or, when nothing of it was said yet, the word "unreadable" stands in its place. What was
quoted is then a beginning of what stands on the screen instead of a guess. An engine needs three things for it: the
probability of the chosen token (the sampler reports its logarithm), to know of each token whether it holds a quotation
mark, and a way to put given tokens in the place of the chosen one; see the card.
"""

import torch
import torch.nn.functional as F

MOST = 160


class Guard:
    """Follows one answer token by token; `check` gives tokens to say instead, or None."""

    def __init__(self, tok, doubt):
        self.doubt = doubt
        self.pieces = {i: tok.decode([i]) for i in range(tok.get_vocab_size())}
        ids = lambda s: tok.encode(s, add_special_tokens=False).ids
        self.close, self.unreadable = ids('"'), ids('unreadable"')
        self.open, self.inside, self.probabilities = False, [], []

    def fresh(self):
        other = object.__new__(Guard)
        other.__dict__.update(self.__dict__, open=False, inside=[], probabilities=[])
        return other

    def check(self, token, probability):
        """Takes the next token. None: it stands. (n, tokens): take back the last `n` tokens and say these instead."""
        piece = self.pieces.get(token, "")
        if self.open and '"' not in piece and probability < self.doubt:
            back, whole = 0, piece[:1].isspace()  # a new word was about to begin: all of the quotation is whole words
            while self.inside and not whole:
                whole = self.pieces[self.inside.pop()][:1].isspace()
                back += 1
            said = len(self.inside) > 0
            self.open, self.inside = False, []
            return back, self.close if said else self.unreadable
        if '"' in piece:
            self.open = (piece.count('"') % 2 == 1) != self.open
            self.inside = []
        elif self.open:
            self.inside.append(token)
        return None


def prompt_ids(tok, n_img, question, video, system=""):
    """Token ids of a conversation with one picture of `n_img` tokens, and where the picture begins."""
    ids = lambda s: tok.encode(s, add_special_tokens=False).ids
    pad = tok.token_to_id("<|video_pad|>" if video else "<|image_pad|>")
    head = ids(
        (f"<|im_start|>system\n{system}<|im_end|>\n" if system else "")
        + "<|im_start|>user\n"
        + ("<0.2 seconds>" if video else "")
        + "<|vision_start|>"
    )
    return head + [pad] * n_img + ids("<|vision_end|>" + question + "<|im_end|>\n<|im_start|>assistant\n"), len(head)


def positions(T, start, W, H, device):
    """M-RoPE positions [3, T] of a picture that begins at `start`."""
    n = (W // 32) * (H // 32)
    pos = torch.arange(T, device=device).expand(3, T).clone()
    k = torch.arange(n, device=device)
    pos[0, start : start + n] = start
    pos[1, start : start + n] = start + k // (W // 32)
    pos[2, start : start + n] = start + k % (W // 32)
    pos[:, start + n :] = start + max(W, H) // 32 + torch.arange(T - start - n, device=device)
    return pos


@torch.no_grad()
def greedy(model, tok, frames, questions, W, H, most=MOST, doubt=0.0):
    """Answers to `questions[i]` about `frames[i]` ([B, 1 or 2, h, w, 3] u8); `doubt` > 0 turns the guard on."""
    device, dtype = next(model.parameters()).device, next(model.parameters()).dtype
    visual, language = model.model["visual"], model.model["language_model"]
    tables = visual.tables(H, W, device)
    tables["weight"] = tables["weight"].to(dtype)
    image, deep = visual(frames.to(device), H, W, tables)
    end = {tok.token_to_id("<|im_end|>"), tok.token_to_id("<|endoftext|>")}
    n, B = (W // 32) * (H // 32), len(questions)
    rows = []
    for q in questions:
        ids, start = prompt_ids(tok, n, q, frames.shape[1] == 2)
        rows.append(ids)
    guard = Guard(tok, doubt) if doubt > 0 else None
    guards = [guard.fresh() for _ in rows] if guard else None
    begun = [len(x) for x in rows]
    open_ = list(range(B))
    img_pos = torch.arange(start, start + n, device=device)
    while open_:
        T = max(len(rows[i]) for i in open_)
        T = -(-T // 16) * 16  # few shapes
        tokens = torch.zeros(len(open_), T, dtype=torch.long, device=device)
        for k, i in enumerate(open_):
            tokens[k, : len(rows[i])] = torch.tensor(rows[i], device=device)
        x = language(tokens, positions(T, start, W, H, device), img_pos, image[open_], [d[open_] for d in deep])
        last = x[torch.arange(len(open_), device=device), torch.tensor([len(rows[i]) - 1 for i in open_], device=device)]
        p, best = F.softmax(F.linear(last, language.embed_tokens.weight).float(), -1).max(-1)
        still = []
        for i, token, probability in zip(open_, best.tolist(), p.tolist()):
            instead = guards[i].check(token, probability) if guards and token not in end else None
            if instead:
                back, tokens_ = instead
                rows[i] = rows[i][: len(rows[i]) - back] + tokens_
            elif token not in end:
                rows[i].append(token)
            if token not in end and len(rows[i]) - begun[i] < most:
                still.append(i)
        open_ = still
    return [tok.decode(x[b:]) for x, b in zip(rows, begun)]
