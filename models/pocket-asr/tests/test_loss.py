"""The loss equals the sum over all paths, written down one by one; its gradient equals that of the plain recursion."""
import os
import sys

import pytest
import torch
from loss import NEVER, tdt

DURATIONS = (0, 1, 2, 3, 4)


def every_path(tokens_logp, lasting_logp, text, n_frames, blank):
    """log of the sum over paths, by walking each of them."""
    total = []

    def walk(t, u, logp):
        if t == n_frames:
            if u == len(text):
                total.append(logp)
            return
        for i, d in enumerate(DURATIONS):
            if d > 0 and t + d <= n_frames:
                walk(t + d, u, logp + tokens_logp[t, u, blank] + lasting_logp[t, u, i])
            if u < len(text) and t + d < n_frames:
                walk(t + d, u + 1, logp + tokens_logp[t, u, text[u]] + lasting_logp[t, u, i])

    walk(0, 0, torch.zeros((), dtype=torch.float64))
    return torch.logsumexp(torch.stack(total), 0)


def example(seed, b=3, t=5, u=3, v=6):
    torch.manual_seed(seed)
    logits = torch.randn(b, t, u + 1, v + 1 + len(DURATIONS)) * 2
    tokens = torch.randint(0, v, (b, u))
    n_frames = torch.tensor([t, t - 1, t - 2][:b])
    n_tokens = torch.tensor([u, u - 1, 0][:b])
    return logits, tokens, n_frames, n_tokens


@pytest.fixture(params=["torch", "triton"])
def scan(request, monkeypatch):
    if request.param == "triton":
        if not os.environ.get("TRITON_INTERPRET"):
            pytest.skip("run with TRITON_INTERPRET=1, or on a GPU")
    else:
        monkeypatch.setenv("TDT_SCAN", "torch")
    return request.param


def test_the_loss_is_the_sum_over_all_paths(scan):
    for seed in range(3):
        logits, tokens, n_frames, n_tokens = example(seed)
        losses = tdt(logits, tokens, n_frames, n_tokens, DURATIONS)
        for i in range(len(logits)):
            wide = logits[i].double()
            v1 = wide.shape[-1] - len(DURATIONS)
            expected = -every_path(wide[..., :v1].log_softmax(-1), wide[..., v1:].log_softmax(-1), tokens[i, :n_tokens[i]].tolist(),
                                   int(n_frames[i]), v1 - 1)
            assert abs(float(losses[i]) - float(expected)) < 1e-4, (seed, i)


def test_the_gradient_is_that_of_all_paths(scan):
    logits, tokens, n_frames, n_tokens = example(7)
    mine = logits.clone().requires_grad_()
    (tdt(mine, tokens, n_frames, n_tokens, DURATIONS) * torch.tensor([1.0, 0.5, 2.0])).sum().backward()
    plain = logits.double().requires_grad_()
    v1 = logits.shape[-1] - len(DURATIONS)
    total = 0
    for i, factor in enumerate((1.0, 0.5, 2.0)):
        total = total - factor * every_path(plain[i, ..., :v1].log_softmax(-1), plain[i, ..., v1:].log_softmax(-1),
                                            tokens[i, :n_tokens[i]].tolist(), int(n_frames[i]), v1 - 1)
    total.backward()
    assert (mine.grad - plain.grad).abs().max() < 1e-5


def test_a_text_with_no_room_costs_nothing_and_moves_nothing(scan):
    logits, tokens, _, _ = example(1)
    logits.requires_grad_()
    loss = tdt(logits, tokens, torch.tensor([0, 5, 5]), torch.tensor([3, 3, 0]), DURATIONS)
    loss.sum().backward()
    loss = loss.detach()
    assert float(loss[0]) == 0 and float(logits.grad[0].abs().max()) == 0 and float(loss[1]) > 0
    assert abs(NEVER) > 1e29


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
