"""The TDT loss (arXiv:2304.06795): minus the log probability of a text, summed over all ways to place it.

A lattice has nodes (t, u): t frames are behind, u tokens are out. A blank goes from (t, u) to (t + d, u), d of 1 and more; the
next token goes to (t + d, u + 1), d of 0 and more, and stays below T. The text is complete at (T, U), where a blank ends it, as
in NeMo. All nodes with t + u = n are computed together; on a GPU one small kernel walks a whole lattice.
"""
import os

import torch

NEVER = -1e30
try:
    import triton
    import triton.language as tl
except ImportError:  # a machine without one
    triton = None


def skewed(x, n_diagonals, empty):
    """[B, T, U1, K] to [N, B, U1, K] with row n holding t = n - u."""
    b, t, u1, k = x.shape
    out = x.new_full((b, n_diagonals, u1, k), empty)
    for u in range(u1):
        out[:, u:u + t, u] = x[:, :, u]
    return out.transpose(0, 1).contiguous()


def straight(x, n_frames):
    """The inverse: [N, B, U1, K] to [B, T, U1, K]."""
    u1 = x.shape[2]
    return torch.stack([x[u:u + n_frames, :, u] for u in range(u1)], 2).transpose(0, 1)


def scan_torch(weights, ends, n_blanks, backwards):
    """Log sums of all ways to each node (or, backwards, from it): [N, B, U1]. weights [N, B, U1, n_blanks + n_labels];
    ends [B, 2]: T and U."""
    n, b, u1, k = weights.shape
    n_labels = k - n_blanks
    out = weights.new_full((n + 2 * k, b, u1 + 1), NEVER)  # room on both sides for arcs that leave
    row = torch.arange(b, device=weights.device)
    if not backwards:
        out[k, :, 1] = weights.new_tensor([0.0]).expand(b)
        out[k, :, 1] = 0.0
        for i in range(1, n):
            arcs = [out[k + i - d, :, 1:] + weights[i - d, :, :, d - 1] for d in range(1, n_blanks + 1) if d <= i]
            for d in range(n_labels):
                if d + 1 <= i:
                    arcs.append(out[k + i - d - 1, :, :-1] + torch.nn.functional.pad(weights[i - d - 1, :, :-1, n_blanks + d], (1, 0), value=NEVER))
            out[k + i, :, 1:] = torch.logsumexp(torch.stack(arcs), 0).clamp(min=NEVER)
        return out[k:k + n, :, 1:]
    last = (ends[:, 0] + ends[:, 1])
    for i in range(n - 1, -1, -1):
        arcs = [out[k + i + d, :, :-1] + weights[i, :, :, d - 1] for d in range(1, n_blanks + 1)]
        arcs += [out[k + i + d + 1, :, 1:] + weights[i, :, :, n_blanks + d] for d in range(n_labels)]
        here = torch.logsumexp(torch.stack(arcs), 0).clamp(min=NEVER)
        is_end = last == i
        here[row[is_end], ends[is_end, 1]] = 0.0
        out[k + i, :, :-1] = here
    return out[k:k + n, :, :-1]


if triton is not None:
    @triton.jit
    def _walk(weights, out, ends, n_diagonals, batch, u1, k: tl.constexpr, n_blanks: tl.constexpr, block: tl.constexpr, backwards: tl.constexpr):
        """One program an utterance; `out` is full of NEVER before."""
        b = tl.program_id(0)
        u = tl.arange(0, block)
        inside = u < u1
        end_n = tl.load(ends + 2 * b) + tl.load(ends + 2 * b + 1)
        end_u = tl.load(ends + 2 * b + 1)
        stride = batch * u1
        never = -1e30
        for step in range(0, n_diagonals):
            n = n_diagonals - 1 - step if backwards else step
            best = tl.full((block,), never, tl.float32)
            for arc in tl.static_range(k):
                label = 1 if arc >= n_blanks else 0
                jump = arc + 1 if arc < n_blanks else arc - n_blanks + 1
                if backwards:
                    other = n + jump
                    ok = inside & ((u * 0 + other) < n_diagonals) & (u + label < u1)
                    far = tl.load(out + other * stride + b * u1 + u + label, mask=ok, other=never)
                    value = far + tl.load(weights + (n * stride + b * u1 + u) * k + arc, mask=ok, other=never)
                else:
                    other = n - jump
                    ok = inside & ((u * 0 + other) >= 0) & (u >= label)
                    far = tl.load(out + other * stride + b * u1 + u - label, mask=ok, other=never)
                    value = far + tl.load(weights + (other * stride + b * u1 + u - label) * k + arc, mask=ok, other=never)
                best = tl.maximum(best, value)
            total = tl.zeros((block,), tl.float32)
            for arc in tl.static_range(k):
                label = 1 if arc >= n_blanks else 0
                jump = arc + 1 if arc < n_blanks else arc - n_blanks + 1
                if backwards:
                    other = n + jump
                    ok = inside & ((u * 0 + other) < n_diagonals) & (u + label < u1)
                    far = tl.load(out + other * stride + b * u1 + u + label, mask=ok, other=never)
                    value = far + tl.load(weights + (n * stride + b * u1 + u) * k + arc, mask=ok, other=never)
                else:
                    other = n - jump
                    ok = inside & ((u * 0 + other) >= 0) & (u >= label)
                    far = tl.load(out + other * stride + b * u1 + u - label, mask=ok, other=never)
                    value = far + tl.load(weights + (other * stride + b * u1 + u - label) * k + arc, mask=ok, other=never)
                total += tl.exp(value - best)
            here = tl.where(best > -1e29, best + tl.log(total), never)
            if backwards:
                here = tl.where((u == end_u) & ((u * 0 + n) == end_n), 0.0, here)
            else:
                here = tl.where((u == 0) & ((u * 0 + n) == 0), 0.0, here)
            tl.store(out + n * stride + b * u1 + u, here, mask=inside)
            tl.debug_barrier()


def scan_triton(weights, ends, n_blanks, backwards):
    n, b, u1, k = weights.shape
    out = weights.new_full((n, b, u1), NEVER)
    block = max(32, triton.next_power_of_2(u1))
    _walk[(b,)](weights, out, ends.to(torch.int32).contiguous(), n, b, u1, k, n_blanks, block, backwards, num_warps=max(1, min(4, block // 32)))
    return out


def scan(weights, ends, n_blanks, backwards):
    use = triton is not None and (weights.is_cuda or os.environ.get("TRITON_INTERPRET")) and os.environ.get("TDT_SCAN") != "torch"
    return (scan_triton if use else scan_torch)(weights, ends, n_blanks, backwards)


class Tdt(torch.autograd.Function):
    """Losses [B] of logits [B, T, U1, V + 1 + n_durations], in whose place the gradient is kept."""

    @staticmethod
    def forward(context, logits, tokens, n_frames, n_tokens, durations, sigma):
        b, t, u1, width = logits.shape
        v1 = width - len(durations)
        n_blanks, device = sum(d > 0 for d in durations), logits.device
        blank = v1 - 1
        index = torch.nn.functional.pad(tokens, (0, 1), value=blank)[:, None, :, None].expand(b, t, u1, 1)
        norm = torch.cat([torch.logsumexp(part.float(), -1) for part in logits[..., :v1].split(16)])  # [B, T, U1]
        blanks = logits[..., blank].float() - norm - sigma
        labels = logits.gather(3, index)[..., 0].float() - norm - sigma
        lasting = torch.log_softmax(logits[..., v1:].float(), -1)
        at = torch.arange(t, device=device)[None, :, None, None]
        out = torch.arange(u1, device=device)[None, None, :, None]
        steps = torch.tensor(durations, device=device)
        frames, count = n_frames[:, None, None, None], n_tokens[:, None, None, None]
        positive = [i for i, d in enumerate(durations) if d > 0]
        is_there = (at < frames) & (out <= count)
        to_blank = (blanks[..., None] + lasting[..., positive]).masked_fill(~(is_there & (at + steps[positive] <= frames)), NEVER)
        to_label = (labels[..., None] + lasting).masked_fill(~(is_there & (out < count) & (at + steps < frames)), NEVER)
        weights = skewed(torch.cat([to_blank, to_label], 3), t + u1, NEVER)
        ends = torch.stack([n_frames, n_tokens], 1)
        ahead = scan(weights, ends, n_blanks, False)
        behind = scan(weights, ends, n_blanks, True)
        total = behind[0, :, 0]  # [B]
        lost = total < -1e29  # a text with no room
        # what each arc carries: [N, B, U1, arcs]
        n = t + u1
        pad = torch.nn.functional.pad(behind, (0, 1, 0, 0, 0, len(durations) + 1), value=NEVER)
        far = torch.stack([pad[d:d + n, :, :-1] for d in range(1, n_blanks + 1)] + [pad[d + 1:d + 1 + n, :, 1:] for d in range(len(durations))], 3)
        share = torch.exp((ahead[..., None] + weights + far - total[None, :, None, None]).clamp(max=0)).masked_fill(lost[None, :, None, None], 0)
        share = straight(share, t)  # [B, T, U1, arcs]
        context.save_for_backward(logits, norm, index, share)
        context.shape = (n_blanks, positive, v1)
        return torch.where(lost, 0.0, -total)

    @staticmethod
    def backward(context, upstream):
        logits, norm, index, share = context.saved_tensors
        n_blanks, positive, v1 = context.shape
        share = share * upstream[:, None, None, None]
        by_blank, by_label = share[..., :n_blanks], share[..., n_blanks:]
        passing = share.sum(-1)
        grad = torch.empty_like(logits)
        for i in range(0, len(logits), 16):
            part = slice(i, i + 16)
            grad[part, ..., :v1] = (torch.exp(logits[part, ..., :v1].float() - norm[part, ..., None]) * passing[part, ..., None]).to(grad.dtype)
        grad[..., v1 - 1] -= by_blank.sum(-1).to(grad.dtype)
        grad.scatter_add_(3, index, -by_label.sum(-1, keepdim=True).to(grad.dtype))
        lasting = torch.softmax(logits[..., v1:].float(), -1) * passing[..., None] - by_label
        lasting[..., positive] -= by_blank
        grad[..., v1:] = lasting.to(grad.dtype)
        return grad, None, None, None, None, None


def tdt(logits, tokens, n_frames, n_tokens, durations, sigma=0.0):
    """Losses [B]: logits [B, T, U + 1, V + 1 + durations], tokens [B, U], of which n_tokens [B] count, as n_frames [B] of T do."""
    return Tdt.apply(logits, tokens, n_frames, n_tokens, tuple(durations), sigma)
