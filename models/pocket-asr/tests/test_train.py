"""A step of training runs in both precisions, the optimiser learns, the store gives what was written, words are counted right."""
import numpy as np
import pytest
import torch
from augment import Augment
from model import Config, Parakeet
from optimiser import Optimiser, orthogonalised
from synthesise import as_i16, resampled, write
from tokenizers import Tokenizer, models, pre_tokenizers
from train import Store, distance, losses

TINY = Config(hidden_size=32, num_hidden_layers=2, intermediate_size=64, subsampling_conv_channels=8, decoder_hidden_size=32, vocab_size=20, num_attention_heads=2)


def batch():
    torch.manual_seed(5)
    lengths = torch.tensor([12000, 16000])
    return (torch.randn(2, 16000) * 3000).to(torch.int16), lengths, torch.randint(1, 19, (2, 4)), torch.tensor([4, 2])


@pytest.mark.parametrize("half", [False, True])
def test_a_step_moves_every_weight(half):
    torch.manual_seed(0)
    model = Parakeet(TINY).train()
    ctc, full = losses(model, Augment(), batch(), half, True)
    assert torch.isfinite(ctc) and torch.isfinite(full)
    (0.3 * ctc + full).backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all() or float(p.grad.abs().max()) == 0]
    assert not still


def test_the_optimiser_learns_one_batch():
    torch.manual_seed(0)
    model, augment = Parakeet(Config(**{**TINY.__dict__, "dropout": 0.0})).train(), Augment()
    optimiser, one = Optimiser(model), batch()
    seen = []
    for _ in range(40):
        torch.manual_seed(1)  # the same noise each time
        ctc, full = losses(model, augment, one, False, True)
        (0.3 * ctc + full).backward()
        optimiser.step(3e-3)
        model.zero_grad()
        seen.append(float(full))
    assert seen[-1] < 0.35 * seen[0], seen


def test_steps_of_matrices_are_orthogonal():
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalised(torch.randn(3, 16, 64)))
    assert values.min() > 0.5 and values.max() < 1.3


def test_the_store_gives_what_was_written(tmp_path):
    pieces = Tokenizer(models.BPE({c: i for i, c in enumerate("?\u2581abcdefghij")}, [], unk_token="?"))
    pieces.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    sounds = [as_i16(torch.randn(16000 * n)) for n in (1, 2, 3)]
    write(tmp_path, "cpu-x-1", "flite", [("ab, cd.", sounds[0]), ("fade", sounds[1]), ("big egg", sounds[2])])
    store = Store(tmp_path, pieces, "cpu", 0.01, 12)
    while not store.take():
        pass
    audio, lengths, tokens, counts = store.batch(np.random.default_rng(0), 8, most=8)
    for row, n, ids, k in zip(audio, lengths.tolist(), tokens, counts.tolist()):
        which = n // 16000 - 1
        assert torch.equal(row[:n], torch.from_numpy(sounds[which]))
        assert [pieces.id_to_token(i) for i in ids[:k].tolist()] == list(["\u2581ab\u2581cd", "\u2581fade", "\u2581big\u2581egg"][which])


def test_resampling_keeps_a_tone():
    for rate in (24000, 22050, 32000):
        tone = torch.sin(torch.arange(rate) * 2 * np.pi * 440 / rate)[None]
        out = resampled(tone, rate)[0, :16000]
        expected = torch.sin(torch.arange(16000) * 2 * np.pi * 440 / 16000)
        assert (out - expected)[100:-100].abs().max() < 0.02, rate


def test_words_are_counted():
    assert distance("a b c".split(), "a x c d".split()) == 2 and distance([], ["a"]) == 1
