"""Piper's voice joe (the one of this repository) in torch, in batches; VITS, arXiv:2106.06103, one speaker.

Reads `models/joe/joe.onnx.zz`: the layout of its packed constants is written down in `stages/src/tts/voice/dense.rs`.
All tensors are [B, channels, T]; `mask` [B, 1, T] is 1 where an utterance has something.
"""
import json
import math
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

SAMPLE_RATE_HZ, SAMPLES_A_FRAME = 22050, 256
SCALE = "/qwglm.scale"
HEADS, WINDOW, BINS, BOUND, LEAST = 2, 4, 10, 5.0, 1e-3
UPSAMPLING = ((8, 16), (8, 16), (4, 8))  # rate, kernel
BLOCKS = ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))  # kernel, dilations


def read_weights(path):
    """Weights by Piper's names."""
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415
    data = Path(path).read_bytes()
    graph = onnx.load_from_string(zlib.decompress(data) if data[:1] == b"\x78" else data).graph
    stored = {t.name: t for t in graph.initializer}

    def dense(name):
        tensor = stored[name]
        shape, count = list(tensor.dims), int(np.prod(tensor.dims))
        if name + SCALE not in stored:
            return numpy_helper.to_array(tensor)
        raw = tensor.raw_data
        if tensor.data_type == onnx.TensorProto.INT8:
            whole = np.frombuffer(raw, np.int8).astype(np.int32)
        else:
            low = np.frombuffer(raw, np.uint8, -(-count // 2))
            low = np.stack([low & 15, low >> 4], 1).ravel()[:count].astype(np.int32)
            whole = low | np.frombuffer(raw, np.int8, count, -(-count // 2)).astype(np.int32) << 4
        scales = numpy_helper.to_array(stored[name + SCALE]).astype(np.float32)
        return (whole.reshape(len(scales), -1) * scales[:, None]).reshape(shape)

    names = {n: n for n in stored if n.split(".")[0] in ("enc_p", "dec", "flow", "dp") and "/" not in n}
    for node in graph.node:
        if node.op_type == "Gather" and len(node.input) == 2 and node.input[1] == "input" and node.input[0] in stored:
            names["enc_p.emb.weight"] = node.input[0]
        if node.op_type in ("Conv", "ConvTranspose") and len(node.input) == 3 and node.input[2].endswith(".bias"):
            names[node.input[2][:-4] + "weight"] = node.input[1]
    weights = {name: torch.from_numpy(np.array(dense(at), np.float32)) for name, at in names.items()}
    for node in graph.node:  # the affine flow's scale was folded into a constant
        if node.name.startswith("/dp/flows.0/") and node.op_type == "Mul":
            for at in node.input:
                if at in stored and list(stored[at].dims) == [2, 1]:
                    weights["dp.flows.0.scale"] = torch.from_numpy(np.array(dense(at), np.float32))
    return weights


class Joe:
    def __init__(self, folder, device="cpu"):
        self.w = {name: value.to(device) for name, value in read_weights(Path(folder) / "joe.onnx.zz").items()}
        self.map = json.loads((Path(folder) / "joe.onnx.json").read_text(encoding="utf-8"))["phoneme_id_map"]

    def ids(self, ipa):
        symbols = [i for c in unicodedata.normalize("NFD", ipa) for i in self.map.get(c, [])]
        return [1, 0] + [i for symbol in symbols for i in (symbol, 0)] + [2]

    def conv(self, x, name, **how):
        return F.conv1d(x, self.w[name + ".weight"].to(x.dtype), self.bias(name, x), **how)

    def bias(self, name, x):
        bias = self.w.get(name + ".bias")
        return None if bias is None else bias.to(x.dtype)

    def norm(self, x, name):
        return F.layer_norm(x.transpose(1, 2), (x.shape[1],), self.w[name + ".gamma"], self.w[name + ".beta"], 1e-5).transpose(1, 2)

    def attention(self, x, name, mask):
        b, c, t = x.shape
        size = c // HEADS
        q, k, v = (self.conv(x, f"{name}.conv_{part}").view(b, HEADS, size, t).transpose(2, 3) for part in "qkv")
        q = q / math.sqrt(size)
        apart = torch.arange(t, device=x.device)[None] - torch.arange(t, device=x.device)[:, None]
        near = (apart.abs() <= WINDOW).float()
        at = (apart + WINDOW).clamp(0, 2 * WINDOW)
        keys, values = self.w[name + ".emb_rel_k"][0], self.w[name + ".emb_rel_v"][0]
        scores = q @ k.transpose(2, 3) + (q @ keys.T).gather(3, at.expand(b, HEADS, t, t)) * near
        weights = scores.masked_fill(mask[:, None] == 0, -1e9).softmax(-1)
        by_distance = torch.zeros(b, HEADS, t, 2 * WINDOW + 1, device=x.device)
        by_distance.scatter_add_(3, at.expand(b, HEADS, t, t), weights * near)
        out = weights @ v + by_distance @ values
        return self.conv(out.transpose(2, 3).reshape(b, c, t), name + ".conv_o")

    def text(self, ids, mask):
        """Hidden states, means and log deviations of the prior."""
        table = self.w["enc_p.emb.weight"]
        x = table[ids].transpose(1, 2) * math.sqrt(table.shape[1]) * mask
        for i in range(6):
            at = "enc_p.encoder."
            x = self.norm(x + self.attention(x, f"{at}attn_layers.{i}", mask), f"{at}norm_layers_1.{i}") * mask
            y = torch.relu(self.conv(x, f"{at}ffn_layers.{i}.conv_1", padding=1)) * mask
            x = self.norm(x + self.conv(y, f"{at}ffn_layers.{i}.conv_2", padding=1), f"{at}norm_layers_2.{i}") * mask
        mean, deviation = self.conv(x, "enc_p.proj").chunk(2, 1)
        return x, mean, deviation

    def separable(self, x, name, mask, extra=None):
        x = x if extra is None else x + extra
        for i in range(3):
            y = self.conv(x * mask, f"{name}.convs_sep.{i}", groups=x.shape[1], dilation=3**i, padding=3**i)
            y = F.gelu(self.norm(y, f"{name}.norms_1.{i}"))
            x = x + F.gelu(self.norm(self.conv(y, f"{name}.convs_1x1.{i}"), f"{name}.norms_2.{i}"))
        return x * mask

    def log_durations(self, x, mask, noise):
        """noise [B, 2, T], scaled already."""
        h = self.conv(self.separable(self.conv(x, "dp.pre"), "dp.convs", mask), "dp.proj") * mask
        z = noise * mask
        for f in (7, 5, 3):
            a, b = z[:, 1:], z[:, :1]
            t = self.conv(self.separable(self.conv(a, f"dp.flows.{f}.pre"), f"dp.flows.{f}.convs", mask, h), f"dp.flows.{f}.proj")
            z = torch.cat([a, spline(b[:, 0], t.transpose(1, 2), h.shape[1])[:, None]], 1) * mask
        z = (z.flip(1) - self.w["dp.flows.0.m"]) * self.w["dp.flows.0.scale"]
        return z[:, 0]

    def flow(self, z, mask):
        for f in (6, 4, 2, 0):
            a, b = z.flip(1).chunk(2, 1)
            name = f"flow.flows.{f}"
            h, out = self.conv(a, name + ".pre") * mask, 0
            for i in range(4):
                gate = self.conv(h, f"{name}.enc.in_layers.{i}", padding=2)
                gate = torch.tanh(gate[:, :192]) * torch.sigmoid(gate[:, 192:])
                r = self.conv(gate, f"{name}.enc.res_skip_layers.{i}")
                if i < 3:
                    h, r = (h + r[:, :192]) * mask, r[:, 192:]
                out = out + r
            z = torch.cat([a, b - self.conv(out * mask, name + ".post") * mask], 1)
        return z

    def sound(self, z):
        x = self.conv(z, "dec.conv_pre", padding=3)
        for i, (rate, kernel) in enumerate(UPSAMPLING):
            name = f"dec.ups.{i}"
            x = F.conv_transpose1d(F.leaky_relu(x, 0.1), self.w[name + ".weight"].to(x.dtype), self.bias(name, x), rate, (kernel - rate) // 2)
            total = 0
            for j, (size, dilations) in enumerate(BLOCKS):
                y = x
                for d, dilation in enumerate(dilations):
                    y = y + self.conv(F.leaky_relu(y, 0.1), f"dec.resblocks.{3 * i + j}.convs.{d}", dilation=dilation,
                                      padding=dilation * (size - 1) // 2)
                total = total + y
            x = total / len(BLOCKS)
        return torch.tanh(self.conv(F.leaky_relu(x, 0.01), "dec.conv_post", padding=3))[:, 0]

    @torch.no_grad()
    def speak(self, ids, lengths, pace, variety, melody, vocoder=torch.float32):
        """Samples [B, n] and how many of each count. ids [B, T]; pace: length scales [B]; variety, melody: the noise
        scales of durations and of the prior [B]."""
        device = ids.device
        mask = (torch.arange(ids.shape[1], device=device)[None] < lengths[:, None]).float()[:, None]
        x, mean, deviation = self.text(ids, mask)
        noise = torch.randn(len(ids), 2, ids.shape[1], device=device) * variety[:, None, None]
        frames = (torch.exp(self.log_durations(x, mask, noise)).clamp(max=60) * pace[:, None] * mask[:, 0]).ceil().long()
        ends = frames.cumsum(1)
        total = ends[:, -1]
        time = torch.arange(int(total.max()), device=device)
        token = torch.searchsorted(ends, time[None].expand(len(ids), -1).contiguous(), right=True).clamp(max=ids.shape[1] - 1)
        spread = lambda v: v.gather(2, token[:, None].expand(-1, v.shape[1], -1))  # noqa: E731
        inside = (time[None] < total[:, None]).float()[:, None]
        mean, deviation = spread(mean), spread(deviation)
        z = (mean + torch.randn_like(mean) * deviation.exp() * melody[:, None, None]) * inside
        z = self.flow(z, inside) * inside
        return self.sound(z.to(vocoder)).float(), total * SAMPLES_A_FRAME


def spline(y, t, channels):
    """The inverse of a monotonic rational-quadratic spline with linear tails; y [B, T], t [B, T, 29]."""
    wide, high, slope = t[..., :BINS] / math.sqrt(channels), t[..., BINS:2 * BINS] / math.sqrt(channels), t[..., 2 * BINS:]

    def knots(u):
        at = F.pad((LEAST + (1 - LEAST * BINS) * u.softmax(-1)).cumsum(-1), (1, 0)) * 2 * BOUND - BOUND
        return torch.cat([torch.full_like(at[..., :1], -BOUND), at[..., 1:-1], torch.full_like(at[..., :1], BOUND)], -1)

    xs, ys = knots(wide), knots(high)
    slope = LEAST + F.softplus(F.pad(slope, (1, 1), value=math.log(math.exp(1 - LEAST) - 1)))
    k = ((y[..., None] >= ys).sum(-1) - 1).clamp(0, BINS - 1)[..., None]
    take = lambda v: v.gather(-1, k)[..., 0]  # noqa: E731
    w, h = take(xs[..., 1:] - xs[..., :-1]), take(ys[..., 1:] - ys[..., :-1])
    x0, y0, d0, d1 = take(xs[..., :-1]), take(ys[..., :-1]), take(slope[..., :-1]), take(slope[..., 1:])
    s, r = h / w, y - y0
    bend = d0 + d1 - 2 * s
    a, b, c = r * bend + h * (s - d0), h * d0 - r * bend, -s * r
    x = 2 * c / (-b - (b * b - 4 * a * c).clamp_min(0).sqrt()) * w + x0
    return torch.where(y.abs() <= BOUND, x, y)
