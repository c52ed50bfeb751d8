"""Parakeet-TDT (FastConformer encoder, LSTM prediction network, joint network with durations) for training, with transformers'
tensor names, plus a CTC output that exists only while it learns. Letters: B utterances, T frames, D hidden, H heads, U tokens."""
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    hidden_size: int = 160
    num_hidden_layers: int = 9
    num_attention_heads: int = 4
    intermediate_size: int = 640
    conv_kernel_size: int = 9
    subsampling_conv_channels: int = 96
    num_mel_bins: int = 128
    vocab_size: int = 513  # with blank, the last
    decoder_hidden_size: int = 160
    num_decoder_layers: int = 1
    durations: list = field(default_factory=lambda: [0, 1, 2, 3, 4])
    dropout: float = 0.1

    @property
    def blank(self):
        return self.vocab_size - 1

    def to_json(self):
        """As transformers' `ParakeetTDTConfig` has it."""
        encoder = {k: v for k, v in asdict(self).items() if k in (
            "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "conv_kernel_size", "subsampling_conv_channels", "num_mel_bins")}
        encoder |= {"model_type": "parakeet_encoder", "num_key_value_heads": self.num_attention_heads, "hidden_act": "silu", "attention_bias": False,
                    "convolution_bias": False, "scale_input": False, "subsampling_conv_kernel_size": 3, "subsampling_conv_stride": 2,
                    "subsampling_factor": 8, "max_position_embeddings": 5000}
        return {"architectures": ["ParakeetForTDT"], "model_type": "parakeet_tdt", "encoder_config": encoder, "vocab_size": self.vocab_size,
                "blank_token_id": self.blank, "pad_token_id": 0, "decoder_hidden_size": self.decoder_hidden_size, "num_decoder_layers": self.num_decoder_layers,
                "durations": self.durations, "max_symbols_per_step": 10, "hidden_act": "relu", "is_encoder_decoder": True}

    @classmethod
    def from_json(cls, path):
        raw = json.loads(Path(path).read_text())
        known = {k: v for k, v in {**raw, **raw["encoder_config"]}.items() if k in cls.__dataclass_fields__ and k != "dropout"}
        return cls(**known)


class Subsampling(nn.Module):
    """[B, T, mels] to [B, T/8, D]; what is past an utterance's end is 0 after each step."""

    def __init__(self, c):
        super().__init__()
        n = c.subsampling_conv_channels
        self.layers = nn.ModuleList([
            nn.Conv2d(1, n, 3, 2, 1), nn.ReLU(), nn.Conv2d(n, n, 3, 2, 1, groups=n), nn.Conv2d(n, n, 1), nn.ReLU(),
            nn.Conv2d(n, n, 3, 2, 1, groups=n), nn.Conv2d(n, n, 1), nn.ReLU()])
        self.linear = nn.Linear(n * c.num_mel_bins // 8, c.hidden_size)

    def forward(self, x, frames):
        x = x[:, None]
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.Conv2d):
                if layer.stride[0] == 2:
                    frames = (frames - 1) // 2 + 1
                x = x * (torch.arange(x.shape[2], device=x.device)[None] < frames[:, None])[:, None, :, None]
        return self.linear(x.transpose(1, 2).flatten(2)), frames


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.linear1 = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.linear2 = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)
        self.dropout = c.dropout

    def forward(self, x):
        return self.linear2(F.dropout(F.silu(self.linear1(x)), self.dropout, self.training))


class Attention(nn.Module):
    """Relative positions, arXiv:1901.02860 with the biases of each layer its own."""

    def __init__(self, c):
        super().__init__()
        d, self.heads = c.hidden_size, c.num_attention_heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj", "relative_k_proj"):
            setattr(self, name, nn.Linear(d, d, bias=False))
        self.bias_u = nn.Parameter(torch.zeros(self.heads, d // self.heads))
        self.bias_v = nn.Parameter(torch.zeros(self.heads, d // self.heads))

    def forward(self, x, positions, mask):
        """positions [2T-1, D] from T-1 down to 1-T; mask [B, 1, 1, T]: true is heard."""
        b, t, d = x.shape
        size = d // self.heads
        split = lambda y: y.view(b, t, self.heads, size).transpose(1, 2)  # noqa: E731
        q, k, v = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))
        r = self.relative_k_proj(positions).view(-1, self.heads, size).transpose(0, 1)  # [H, 2T-1, size]
        by_position = (q + self.bias_v[:, None]) @ r.transpose(1, 2)  # [B, H, T, 2T-1]; what row i wants starts at T-1-i
        by_position = F.pad(by_position, (1, 0)).view(b, self.heads, 2 * t, t)[:, :, 1:].reshape(b, self.heads, t, 2 * t - 1)[..., :t]
        bias = (by_position / math.sqrt(size)).masked_fill(~mask, -1e4)
        out = F.scaled_dot_product_attention(q + self.bias_u[:, None], k, v, attn_mask=bias.to(q.dtype))
        return self.o_proj(out.transpose(1, 2).reshape(b, t, d))


class Convolution(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, k = c.hidden_size, c.conv_kernel_size
        self.pointwise_conv1 = nn.Conv1d(d, 2 * d, 1, bias=False)
        self.depthwise_conv = nn.Conv1d(d, d, k, padding=k // 2, groups=d, bias=False)
        self.norm = nn.BatchNorm1d(d)
        self.pointwise_conv2 = nn.Conv1d(d, d, 1, bias=False)

    def forward(self, x, mask):
        """mask [B, 1, T]."""
        x = F.glu(F.linear(x, self.pointwise_conv1.weight[:, :, 0]), dim=-1).transpose(1, 2)
        x = self.normalised(self.depthwise_conv(x * mask), mask)
        return F.linear(F.silu(x).transpose(1, 2), self.pointwise_conv2.weight[:, :, 0])

    def normalised(self, x, mask):
        """Batch norm whose statistics leave padding out."""
        norm = self.norm
        if self.training:
            with torch.no_grad() if norm.weight.requires_grad is False else torch.enable_grad():
                values, weight = x.float(), mask.float()
                count = weight.sum()
                mean = (values * weight).sum((0, 2)) / count
                variance = ((values - mean[None, :, None]).square() * weight).sum((0, 2)) / count
            with torch.no_grad():
                norm.running_mean.lerp_(mean, norm.momentum)
                norm.running_var.lerp_(variance * count / (count - 1), norm.momentum)
        else:
            mean, variance = norm.running_mean, norm.running_var
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        return x * scale.to(x.dtype)[:, None] + (norm.bias - mean * scale).to(x.dtype)[:, None]


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        for name in ("norm_feed_forward1", "norm_self_att", "norm_conv", "norm_feed_forward2", "norm_out"):
            setattr(self, name, nn.LayerNorm(c.hidden_size))
        self.feed_forward1, self.feed_forward2 = FeedForward(c), FeedForward(c)
        self.self_attn, self.conv = Attention(c), Convolution(c)
        self.dropout = c.dropout

    def forward(self, x, positions, mask):
        drop = lambda y: F.dropout(y, self.dropout, self.training)  # noqa: E731
        x = x + 0.5 * drop(self.feed_forward1(self.norm_feed_forward1(x)))
        x = x + drop(self.self_attn(self.norm_self_att(x), positions, mask[:, None, None]))
        x = x + drop(self.conv(self.norm_conv(x), mask[:, None]))
        x = x + 0.5 * drop(self.feed_forward2(self.norm_feed_forward2(x)))
        return self.norm_out(x)


def positions(t, d, device):
    """[2T-1, D]: sines and cosines in turn."""
    at = torch.arange(t - 1, -t, -1, device=device, dtype=torch.float32)
    rate = torch.exp(torch.arange(0, d, 2, device=device, dtype=torch.float32) * (-math.log(10000.0) / d))
    angle = at[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.subsampling = Subsampling(c)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))
        self.dropout = c.dropout

    def forward(self, features, frames):
        x, frames = self.subsampling(features, frames)
        x = F.dropout(x, self.dropout, self.training)
        mask = torch.arange(x.shape[1], device=x.device)[None] < frames[:, None]
        at = positions(x.shape[1], x.shape[2], x.device).to(x.dtype)
        for layer in self.layers:
            x = layer(x, at, mask)
        return x, frames


class Decoder(nn.Module):
    """The prediction network; blank's embedding stays 0."""

    def __init__(self, c):
        super().__init__()
        p = c.decoder_hidden_size
        self.embedding = nn.Embedding(c.vocab_size, p, padding_idx=c.blank)
        self.lstm = nn.LSTM(p, p, c.num_decoder_layers, batch_first=True)
        self.decoder_projector = nn.Linear(p, p)

    def forward(self, tokens, state=None):
        out, state = self.lstm(self.embedding(tokens), state)
        return self.decoder_projector(out), state


class Joint(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.head = nn.Linear(c.decoder_hidden_size, c.vocab_size + len(c.durations))

    def forward(self, encoded, predicted):
        return self.head(F.relu(encoded + predicted))


class Parakeet(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.config = c
        self.encoder = Encoder(c)
        self.encoder_projector = nn.Linear(c.hidden_size, c.decoder_hidden_size)
        self.decoder, self.joint = Decoder(c), Joint(c)
        self.ctc = nn.Linear(c.hidden_size, c.vocab_size)

    def encode(self, features, frames):
        """Hidden states [B, T, D], what the joint network takes of them [B, T, J], and how many count [B]."""
        x, frames = self.encoder(features, frames)
        return x, self.encoder_projector(x), frames

    def predict(self, tokens):
        """What the joint network takes before each token and after the last: [B, U + 1, J] of tokens [B, U]."""
        start = torch.full_like(tokens[:, :1], self.config.blank)
        return self.decoder(torch.cat([start, tokens], 1))[0]

    def exported(self):
        """The tensors that are shipped."""
        return {k: v for k, v in self.state_dict().items() if not k.startswith("ctc.") and not k.endswith("num_batches_tracked")}
