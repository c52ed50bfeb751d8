"""Muon (matrices are stepped along their orthogonalised momentum; arXiv:2502.16982 for the scale) and AdamW for the rest."""
import torch


def orthogonalised(g, steps=5):
    """Newton-Schulz on a batch [N, rows, columns]."""
    x = g.bfloat16() if g.is_cuda else g.float()
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.transpose(1, 2) if tall else x).float()


class Optimiser:
    def __init__(self, model, decay=0.02):
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        is_matrix = lambda n, p: n.startswith("encoder.layers.") and p.squeeze().dim() == 2 and "bias" not in n and "depthwise" not in n  # noqa: E731
        self.matrices = {}
        for name, p in named:
            if is_matrix(name, p):
                self.matrices.setdefault(p.squeeze(-1).shape if p.dim() == 3 else p.shape, []).append(p)
        self.momenta = {shape: torch.zeros(len(ps), *shape, device=ps[0].device) for shape, ps in self.matrices.items()}
        rest = [p for n, p in named if not is_matrix(n, p)]
        wide = [p for p in rest if p.dim() > 1]
        narrow = [p for p in rest if p.dim() <= 1]
        self.adam = torch.optim.AdamW([{"params": wide, "weight_decay": decay}, {"params": narrow, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.98), eps=1e-8,
                                      fused=rest[0].is_cuda)
        self.decay = decay

    @torch.no_grad()
    def step(self, rate):
        for shape, ps in self.matrices.items():
            momentum = self.momenta[shape]
            grads = torch.stack([p.grad.view(shape) for p in ps]).float()
            momentum.lerp_(grads, 0.05)
            update = orthogonalised(grads.lerp(momentum, 0.95)) * (0.2 * max(shape) ** 0.5)
            torch._foreach_mul_(ps, 1 - rate * self.decay)
            torch._foreach_add_(ps, [u.view(p.shape) for u, p in zip(update.unbind(0), ps)], alpha=-rate)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
