"""The model: a plain re-statement of Qwen3VLForConditionalGeneration for batches of one size, with its parameter names."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class VisionBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        D = c["hidden_size"]
        self.H = c["num_heads"]
        self.norm1, self.norm2 = nn.LayerNorm(D, eps=1e-6), nn.LayerNorm(D, eps=1e-6)
        self.attn = nn.ModuleDict(dict(qkv=nn.Linear(D, 3 * D), proj=nn.Linear(D, D)))
        self.mlp = nn.ModuleDict(
            dict(linear_fc1=nn.Linear(D, c["intermediate_size"]), linear_fc2=nn.Linear(c["intermediate_size"], D))
        )

    def forward(self, x, cos, sin):  # [B, N, D]
        B, N, D = x.shape
        q, k, v = self.attn["qkv"](self.norm1(x)).view(B, N, 3, self.H, D // self.H).permute(2, 0, 3, 1, 4)
        o = F.scaled_dot_product_attention(rope(q, cos, sin), rope(k, cos, sin), v)
        x = x + self.attn["proj"](o.transpose(1, 2).reshape(B, N, D))
        return x + self.mlp["linear_fc2"](F.gelu(self.mlp["linear_fc1"](self.norm2(x)), approximate="tanh"))


class Merger(nn.Module):
    def __init__(self, c, after):
        super().__init__()
        self.wide = c["hidden_size"] * 4
        self.after = after
        self.norm = nn.LayerNorm(self.wide if after else c["hidden_size"], eps=1e-6)
        self.linear_fc1, self.linear_fc2 = nn.Linear(self.wide, self.wide), nn.Linear(self.wide, c["out_hidden_size"])

    def forward(self, x):  # [B, N, D] -> [B, N/4, out]
        B = x.shape[0]
        x = self.norm(x.reshape(B, -1, self.wide)) if self.after else self.norm(x).reshape(B, -1, self.wide)
        return self.linear_fc2(F.gelu(self.linear_fc1(x)))


class Vision(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        D = c["hidden_size"]
        self.patch_embed = nn.ModuleDict(dict(proj=nn.Conv3d(3, D, (2, 16, 16), (2, 16, 16))))
        self.pos_embed = nn.Embedding(c["num_position_embeddings"], D)
        self.blocks = nn.ModuleList([VisionBlock(c) for _ in range(c["depth"])])
        self.merger = Merger(c, False)
        self.deepstack_merger_list = nn.ModuleList([Merger(c, True) for _ in c["deepstack_visual_indexes"]])

    def tables(self, H, W, device):
        """What depends on the grid alone: rotary tables and the four neighbours of each patch in the learned position grid."""
        h, w, n, hd = (
            H // 16,
            W // 16,
            int(self.c["num_position_embeddings"] ** 0.5),
            self.c["hidden_size"] // self.c["num_heads"],
        )

        def merge_order(a):
            return a.view(h // 2, 2, w // 2, 2).permute(0, 2, 1, 3).reshape(-1)

        row, col = (
            merge_order(torch.arange(h)[:, None].expand(h, w).contiguous()),
            merge_order(torch.arange(w)[None].expand(h, w).contiguous()),
        )
        inv = 1.0 / 10000 ** (torch.arange(0, hd // 2, 2).float() / (hd // 2))
        f = torch.cat([row[:, None] * inv, col[:, None] * inv], -1)
        f = torch.cat([f, f], -1)
        y, x = torch.linspace(0, n - 1, h)[row], torch.linspace(0, n - 1, w)[col]
        y0, x0 = y.floor().long(), x.floor().long()
        y1, x1 = (y0 + 1).clamp(max=n - 1), (x0 + 1).clamp(max=n - 1)
        dy, dx = y - y0, x - x0
        index = torch.stack([y0 * n + x0, y0 * n + x1, y1 * n + x0, y1 * n + x1])
        weight = torch.stack([(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx])[..., None]
        return dict(cos=f.cos().to(device), sin=f.sin().to(device), index=index.to(device), weight=weight.to(device))

    def forward(self, frames, H, W, t):  # frames [B, 1 or 2, h, w, 3] u8
        B, n = frames.shape[:2]
        w = self.patch_embed["proj"].weight
        D, dt = w.shape[0], w.dtype
        x = frames.permute(0, 1, 4, 2, 3).flatten(0, 1).float()
        if x.shape[-2:] != (H, W):
            x = F.interpolate(x, (H, W), mode="bicubic", antialias=True).clamp(0, 255).round()
        x = (
            (x / 127.5 - 1)
            .to(dt)
            .view(B, n, 3, H // 32, 2, 16, W // 32, 2, 16)
            .permute(0, 3, 6, 4, 7, 2, 1, 5, 8)
            .reshape(B, H * W // 256, -1)
        )
        kernel = (w if n == 2 else w.sum(2, keepdim=True)).reshape(D, -1)  # a still picture is the same frame twice
        x = F.linear(x, kernel, self.patch_embed["proj"].bias)
        x = x + (self.pos_embed.weight[t["index"]] * t["weight"]).sum(0).to(dt)
        deep = []
        for i, block in enumerate(self.blocks):
            x = block(x, t["cos"], t["sin"])
            if i in self.c["deepstack_visual_indexes"]:
                deep.append(self.deepstack_merger_list[len(deep)](x))
        return self.merger(x), deep


def rope(x, cos, sin):
    """Rotates pairs (i, i + E/2) of the last axis; cos and sin are [N, E]."""
    h = x.shape[-1] // 2
    a, b = x[..., :h], x[..., h:]
    c, s = cos[:, :h].to(x.dtype), sin[:, :h].to(x.dtype)
    return torch.cat((a * c - b * s, b * c + a * s), -1)


class RMSNorm(nn.Module):
    def __init__(self, D):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(D))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-6)


class TextLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        D, E, self.H, self.K = c["hidden_size"], c["head_dim"], c["num_attention_heads"], c["num_key_value_heads"]
        self.E = E
        lin = lambda i, o: nn.Linear(i, o, bias=False)
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(D), RMSNorm(D)
        self.self_attn = nn.ModuleDict(
            dict(
                q_proj=lin(D, self.H * E),
                k_proj=lin(D, self.K * E),
                v_proj=lin(D, self.K * E),
                o_proj=lin(self.H * E, D),
                q_norm=RMSNorm(E),
                k_norm=RMSNorm(E),
            )
        )
        self.mlp = nn.ModuleDict(
            dict(
                gate_proj=lin(D, c["intermediate_size"]),
                up_proj=lin(D, c["intermediate_size"]),
                down_proj=lin(c["intermediate_size"], D),
            )
        )

    def forward(self, x, cos, sin):  # [B, T, D]
        B, T, _ = x.shape
        a, m = self.self_attn, self.mlp
        y = self.input_layernorm(x)
        q = rope(a["q_norm"](a["q_proj"](y).view(B, T, self.H, self.E)).transpose(1, 2), cos, sin)
        k = rope(a["k_norm"](a["k_proj"](y).view(B, T, self.K, self.E)).transpose(1, 2), cos, sin)
        v = a["v_proj"](y).view(B, T, self.K, self.E).transpose(1, 2)
        g = self.H // self.K
        o = F.scaled_dot_product_attention(q, k.repeat_interleave(g, 1), v.repeat_interleave(g, 1), is_causal=True)
        x = x + a["o_proj"](o.transpose(1, 2).reshape(B, T, -1))
        y = self.post_attention_layernorm(x)
        return x + m["down_proj"](F.silu(m["gate_proj"](y)) * m["up_proj"](y))


class Language(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList([TextLayer(c) for _ in range(c["num_hidden_layers"])])
        self.norm = RMSNorm(c["hidden_size"])

    def tables(self, pos):  # pos [3, T]
        E = self.c["head_dim"]
        inv = 1.0 / self.c["rope_theta"] ** (torch.arange(0, E, 2, device=pos.device).float() / E)
        f = pos[..., None].float() * inv
        out = f[0].clone()  # interleaved: t h w t h w ... then what is left is t
        for d in (1, 2):
            s = slice(d, self.c["rope_scaling"]["mrope_section"][d] * 3, 3)
            out[:, s] = f[d][:, s]
        out = torch.cat([out, out], -1)
        return out.cos(), out.sin()

    def forward(self, tokens, pos, img_pos, image, deep):
        x = self.embed_tokens(tokens).index_copy(1, img_pos, image)
        cos, sin = self.tables(pos)
        for i, layer in enumerate(self.layers):
            x = layer(x, cos, sin)
            if i < len(deep):
                x = x.index_add(1, img_pos, deep[i])
        return self.norm(x)


class PocketVL(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.model = nn.ModuleDict(dict(visual=Vision(config["vision_config"]), language_model=Language(config["text_config"])))
        for name, p in self.named_parameters():
            if p.dim() >= 2:
                nn.init.normal_(p, std=0.02 if "embed" in name else min(0.05, p[0].numel() ** -0.5))
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, frames, tokens, pos, img_pos, H, W, tables):
        image, deep = self.model["visual"](frames, H, W, tables)
        return self.model["language_model"](tokens, pos, img_pos, image, deep)

    def loss(self, frames, tokens, labels, pos, img_pos, H, W, tables):
        n = img_pos.shape[0]
        x = self(frames, tokens, pos, img_pos, H, W, tables)[:, n:-1]  # no answer starts before the picture ends
        return head(x.flatten(0, 1), self.model["language_model"].embed_tokens.weight, labels[:, n + 1 :].flatten())


def head(x, embedding, y):
    """Mean cross entropy and the share of tokens that are right; x [n, D], y [n] with -100 where nothing is asked."""
    logits = F.linear(x, embedding).float()
    known = y >= 0
    count = known.sum().clamp(min=1)
    top = logits.max(-1).values
    hit = logits.gather(1, y.clamp(min=0)[:, None])[:, 0]
    loss = torch.where(known, logits.logsumexp(-1) - hit, 0).sum() / count
    return loss, ((hit >= top) & known).sum() / count


EAGER = {c: c.forward for c in (VisionBlock, TextLayer, Merger)}
EAGER_HEAD = head


def compile_parts(on=True):
    """The pieces that repeat, each compiled once for all shapes; `on` False: as they were, where compiling fails."""
    global head
    torch._dynamo.config.cache_size_limit = 64
    for c, forward in EAGER.items():
        c.forward = torch.compile(forward, dynamic=True) if on else forward
    head = torch.compile(EAGER_HEAD, dynamic=True) if on else EAGER_HEAD
