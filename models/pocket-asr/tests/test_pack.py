"""A packed file says what training rounded to, keeps a grid that it is given, and is small enough."""
import torch
from model import Config, Parakeet
from pack import pack, unpacked, write
from quant import bits_of, packed, round_in_place, rounded


def test_a_packed_model_is_the_rounded_one_and_fits(tmp_path):
    torch.manual_seed(0)
    state = {k: v for k, v in Parakeet(Config()).exported().items()}
    path = tmp_path / "model.safetensors"
    write(*pack(state), path)
    assert path.stat().st_size < 4 * 2**20 + 60_000
    back = unpacked(path)
    assert set(back) == set(state)
    for name, tensor in state.items():
        bits = bits_of(name, tensor)
        expected = rounded([tensor], bits)[0] if bits else tensor.to(torch.bfloat16).float()
        assert torch.equal(back[name].reshape(tensor.shape), expected), name


def test_values_on_a_grid_keep_it():
    torch.manual_seed(1)
    scale = torch.tensor([0.013, -0.4]).half().float()
    grid = torch.randint(-8, 8, (2, 32)) * scale[:, None]
    assert torch.equal(rounded([grid], 4)[0], grid)


def test_all_at_once_is_one_by_one():
    torch.manual_seed(3)
    named = [(n, p) for n, p in Parakeet(Config(hidden_size=64, num_hidden_layers=1, intermediate_size=96, subsampling_conv_channels=8)).named_parameters()]
    expected = {n: rounded([p.data], bits_of(n, p))[0] for n, p in named if bits_of(n, p)}
    round_in_place(named)
    assert expected and all(torch.equal(p.data, expected[n]) for n, p in named if n in expected)


def test_a_fitted_scale_beats_the_plain_one():
    torch.manual_seed(2)
    weight = torch.randn(64, 160)
    plain = weight.view(64, 5, 32)
    top = plain.gather(2, plain.abs().argmax(2, keepdim=True))
    scale = (top * -0.125).half().float()
    simple = ((plain / scale).round().clamp(-8, 7) * scale - plain).square().sum()
    codes, best = packed(weight, 4)
    assert (codes * best - plain).square().sum() < simple
