"""The 4- and 8-bit weights of `gpu/src/weights/quant.rs` in torch: rows padded to groups of 32 along their length, an f16 scale
each. Used while training, so that the weights get used to it, and by `pack.py`."""
import fnmatch

import torch

GROUP = 32
ONE_127TH = torch.tensor(0x3C010204, dtype=torch.int32).view(torch.float32)
# What is 8-bit; the other matrices are 4-bit, everything else is kept.
PLAN = [("encoder.subsampling.*", 8), ("joint.head.weight", 8), ("decoder.embedding.weight", 8), ("encoder_projector.weight", 8),
        ("decoder.decoder_projector.weight", 8), ("encoder.layers.*.bias_?", 0), ("*.depthwise_conv.weight", 0), ("encoder.layers.*.weight", 4),
        ("decoder.lstm.weight_*", 4)]


def bits_of(name, tensor):
    """8, 4, or 0 for a tensor that is kept."""
    if tensor.dim() < 2 or tensor[0].numel() < GROUP or name.startswith("ctc."):
        return 0
    return next((bits for pattern, bits in PLAN if fnmatch.fnmatch(name, pattern)), 0)


def grouped(weight):
    """[n, groups, 32] of a matrix of any rank, rows padded with 0."""
    rows = weight.reshape(len(weight), -1).float()
    return torch.nn.functional.pad(rows, (0, -rows.shape[1] % GROUP)).reshape(len(rows), -1, GROUP)


def codes4(groups, scale):
    """-8 to 7; scale [n, groups, 1] f32 of f16 values."""
    return (groups / torch.where(scale == 0, 1, scale)).round().clamp(-8, 7) * (scale != 0)


def to_f16(scale):
    return scale.to(torch.float16).float()


def scales4(groups):
    """The scale of least squared error among those that `weights/pack.rs` tries."""
    top = groups.gather(2, groups.abs().argmax(2, keepdim=True))
    best = to_f16(top * -0.125)
    error = (codes4(groups, best) * best - groups).square().sum(2, keepdim=True)

    def offer(scale):
        nonlocal best, error
        scale = to_f16(scale)
        other = (codes4(groups, scale) * scale - groups).square().sum(2, keepdim=True)
        better = (other < error) & (scale != 0)
        best, error = torch.where(better, scale, best), torch.where(better, other, error)

    for steps in [1, 2, 3, 4, 5] + [5.5 + 0.25 * i for i in range(17)]:
        offer(top / steps)
        offer(-top / steps)
    for _ in range(2):
        q = codes4(groups, best)
        offer((q * groups).sum(2, keepdim=True) / q.square().sum(2, keepdim=True).clamp(min=1e-12))
    return best


def scales8(groups):
    return to_f16(groups.abs().amax(2, keepdim=True) * ONE_127TH.to(groups.device))


def packed_groups(groups, bits):
    """Codes and scales of [n, groups, 32]."""
    if bits == 4:
        scale = scales4(groups)
        return codes4(groups, scale), scale
    scale = scales8(groups)
    return (groups / torch.where(scale == 0, 1, scale)).round().clamp(-127, 127) * (scale != 0), scale


def packed(weight, bits):
    """Codes [n, groups, 32] and scales [n, groups, 1] of a matrix."""
    return packed_groups(grouped(weight), bits)


@torch.no_grad()
def rounded(weights, bits):
    """What is left of matrices after packing; all at once, for they are many and small."""
    groups = [grouped(weight) for weight in weights]
    codes, scale = packed_groups(torch.cat([g.reshape(1, -1, GROUP) for g in groups], 1), bits)
    parts = (codes * scale)[0].split([g.shape[0] * g.shape[1] for g in groups])
    return [p.reshape(len(w), -1)[:, :w[0].numel()].reshape(w.shape).to(w.dtype) for p, w in zip(parts, weights)]


@torch.no_grad()
def round_in_place(named):
    """Rounds (name, parameter)s as `PLAN` says."""
    for bits in (4, 8):
        chosen = [p for n, p in named if bits_of(n, p) == bits]
        for p, value in zip(chosen, rounded([p.data for p in chosen], bits)):
            p.data.copy_(value)
