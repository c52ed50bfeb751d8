"""Greedy decoding with durations (TDT, arXiv:2304.06795): one utterance step by step, or a batch in step."""
import torch

MAX_SYMBOLS = 10


@torch.no_grad()
def greedy(model, encoded):
    """Tokens, their frames and durations of `encoded` [T, J], as the encoder's projection gives it."""
    c = model.config
    blank, n_frames = c.blank, len(encoded)
    predicted, state = model.decoder(torch.full((1, 1), blank, device=encoded.device))
    tokens, starts, durations, t, here = [], [], [], 0, 0
    while t < n_frames:
        logits = model.joint(encoded[t], predicted[0, 0])
        token = int(logits[:blank + 1].argmax())
        duration = c.durations[int(logits[blank + 1:].argmax())]
        if token == blank:
            t, here = t + max(duration, 1), 0
            continue
        tokens.append(token)
        starts.append(t)
        durations.append(duration)
        here = 1 if duration else here + 1
        t += duration
        if duration:
            here = 0
        elif here == MAX_SYMBOLS:
            t, here = t + 1, 0
        predicted, state = model.decoder(torch.full((1, 1), token, device=encoded.device), state)
    return tokens, starts, durations


@torch.no_grad()
def greedy_batch(model, encoded, counts):
    """Tokens of each row of `encoded` [B, T, J], of which `counts` [B] frames count."""
    c, device, b = model.config, encoded.device, len(encoded)
    blank = c.blank
    values = torch.tensor(c.durations, device=device)
    row = torch.arange(b, device=device)
    predicted, (h, m) = model.decoder(torch.full((b, 1), blank, device=device))
    t, here = torch.zeros_like(counts), torch.zeros_like(counts)
    kept = []
    while bool((t < counts).any()):
        alive = t < counts
        logits = model.joint(encoded[row, t.clamp(max=encoded.shape[1] - 1)], predicted[:, 0])
        token, duration = logits[:, :blank + 1].argmax(1), values[logits[:, blank + 1:].argmax(1)]
        is_token = alive & (token != blank)
        kept.append(torch.where(is_token, token, -1))
        here = torch.where(is_token & (duration == 0), here + 1, torch.zeros_like(here))
        stuck = here == MAX_SYMBOLS
        here = here.masked_fill(stuck, 0)
        t = t + torch.where(is_token, duration + stuck, torch.where(alive, duration.clamp(min=1), 0))
        following, (h2, m2) = model.decoder(token.masked_fill(~is_token, blank)[:, None], (h, m))
        predicted = torch.where(is_token[:, None, None], following, predicted)
        h, m = torch.where(is_token[None, :, None], h2, h), torch.where(is_token[None, :, None], m2, m)
    steps = torch.stack(kept, 1).tolist() if kept else [[]] * b
    return [[x for x in steps_ if x >= 0] for steps_ in steps]
