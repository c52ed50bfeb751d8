"""Augmentation leaves a batch whole: right lengths, nothing infinite, and the unwarped filters are the front end's."""
import torch
from augment import Augment, is_same_without_warp, stretched
from features import HOP


def test_unwarped_filters_are_the_front_ends():
    assert is_same_without_warp()


def test_a_stretch_of_one_moves_nothing():
    audio = torch.randn(2, 4000)
    out, ends = stretched(audio, torch.tensor([4000, 3000]), torch.ones(2), torch.tensor([0, 100]), 4200)
    assert ends.tolist() == [4000, 3100]
    assert torch.allclose(out[0, :3999], audio[0, :3999], atol=1e-5)
    assert torch.allclose(out[1, 100:3099], audio[1, :2999], atol=1e-5)


def test_a_batch_stays_whole():
    torch.manual_seed(3)
    lengths = torch.tensor([16000, 9000, 31000])
    audio = (torch.randn(3, 31000) * 3000).to(torch.int16) * (torch.arange(31000)[None] < lengths[:, None])
    features, frames = Augment()(audio, lengths)
    assert torch.isfinite(features).all()
    assert (frames >= (lengths / 1.14).long() // HOP - 1).all() and (frames <= features.shape[1]).all()
    for row, n in zip(features, frames.tolist()):
        assert float(row[n:].abs().max() if n < len(row) else 0) == 0
