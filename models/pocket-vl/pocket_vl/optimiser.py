"""Muon for matrices, AdamW for the rest; bf16 weights, f32 masters."""

import torch


def orthogonalise(G):
    """Newton-Schulz iteration towards the nearest orthogonal matrix, for a stack of matrices (K. Jordan, 2024)."""
    X = G.bfloat16()
    flip = X.shape[-2] > X.shape[-1]
    if flip:
        X = X.mT
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        M = X @ X.mT
        X = 3.4445 * X + (-4.7750 * M + 2.0315 * M @ M) @ X
    return X.mT if flip else X


class Optimiser:
    """Gradients lie in one flat buffer (one all-reduce); what AdamW trains comes first in it (one update)."""

    def __init__(self, model, device):
        matrix = lambda n, p: p.dim() == 2 and "embed" not in n
        named = sorted(model.named_parameters(), key=lambda np: matrix(*np))
        groups = {}
        self.flat = torch.zeros(sum(p.numel() for _, p in named), dtype=named[0][1].dtype, device=device)
        at = 0
        for _, p in named:
            p.grad = self.flat[at : at + p.numel()].view_as(p)
            at += p.numel()
        for n, p in named:
            if matrix(n, p):
                groups.setdefault(tuple(p.shape), []).append(p)
        self.muon = [
            (ps, torch.stack([p.detach().float() for p in ps]), torch.zeros(len(ps), *shape, device=device))
            for shape, ps in groups.items()
        ]
        self.rest = [p for n, p in named if not matrix(n, p)]
        self.w = torch.cat([p.detach().float().flatten() for p in self.rest])
        self.m, self.v = torch.zeros_like(self.w), torch.zeros_like(self.w)
        self.parts = [w.view_as(p) for w, p in zip(self.w.split([p.numel() for p in self.rest]), self.rest)]
        self.lr = torch.zeros((), device=device)
        self.t = torch.zeros((), device=device)

    @torch.no_grad()
    def step(self, lr_muon=0.02, lr_adam=0.003, decay=0.02):
        """`self.lr` is the schedule's factor, on the device, so that the step can be a CUDA graph."""
        self.t += 1
        for ps, w, buf in self.muon:
            g = torch.stack([p.grad for p in ps]).float()
            buf.lerp_(g, 0.05)
            u = orthogonalise(g.lerp(buf, 0.95)).float()
            w.mul_(1 - self.lr * lr_muon * decay)
            w.sub_(u * (self.lr * lr_muon * max(1, w.shape[1] / w.shape[2]) ** 0.5))
            torch._foreach_copy_(list(ps), list(w.unbind(0)))
        g = self.flat[: self.w.numel()].float()
        self.m.lerp_(g, 0.1)
        self.v.lerp_(g * g, 0.02)
        self.w.sub_((self.m / (1 - 0.9**self.t)) / ((self.v / (1 - 0.98**self.t)).sqrt() + 1e-8) * (self.lr * lr_adam))
        torch._foreach_copy_(self.rest, self.parts)
