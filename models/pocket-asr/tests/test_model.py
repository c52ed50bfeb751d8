"""The front end, the encoder and the decoding equal the goldens of `transformers`."""
import sys

import pytest
import torch
from conftest import GOLDEN
from decode import greedy
from features import FrontEnd
from model import Config, Parakeet
from safetensors.torch import load_file

CASES = ["short", "exact", "long"]


def apart(a, b):
    return float((a - b).norm() / b.norm())


@pytest.fixture(scope="module")
def model():
    tiny = Parakeet(Config.from_json(GOLDEN / "config.json"))
    missing, unexpected = tiny.load_state_dict(load_file(GOLDEN / "model.safetensors"), strict=False)
    assert not unexpected and {n.split(".")[0] for n in missing if "num_batches" not in n} == {"ctc"}
    return tiny.eval()


@pytest.fixture(scope="module")
def cases():
    return {name: load_file(GOLDEN / f"case_{name}.safetensors") for name in CASES}


def test_features_are_those_of_transformers(cases):
    for name, case in cases.items():
        samples = case["audio_i16"].float()[None] / 32768
        features, frames = FrontEnd()(samples, torch.tensor([samples.shape[1]]))
        n = int(case["expect.n_frames"])
        assert int(frames) == n, name
        assert apart(features[0, :n], case["expect.features"][:n]) < 1e-5, name


def test_a_padded_batch_equals_each_alone(cases, model):
    audio = [case["audio_i16"].float() / 32768 for case in cases.values()]
    lengths = torch.tensor([len(a) for a in audio])
    batch = torch.zeros(len(audio), int(lengths.max()))
    for row, samples in zip(batch, audio):
        row[:len(samples)] = samples
    with torch.no_grad():
        features, frames = FrontEnd()(batch, lengths)
        encoded, projected, counts = model.encode(features, frames)
    for i, (name, case) in enumerate(cases.items()):
        n = int(case["expect.n_enc"])
        assert int(counts[i]) == n, name
        assert apart(encoded[i, :n], case["expect.encoder"]) < 1e-5, name
        assert apart(projected[i, :n], case["expect.enc_proj"]) < 1e-5, name


def test_tokens_are_those_of_transformers(cases, model):
    for name, case in cases.items():
        tokens, starts, durations = greedy(model, case["expect.enc_proj"])
        assert tokens == case["expect.tokens"].tolist(), name
        assert starts == case["expect.start_frames"].tolist(), name
        assert durations == case["expect.durations"].tolist(), name


def test_ten_tokens_at_a_frame_are_enough(model):
    case = load_file(GOLDEN / "decode_guard.safetensors")
    kept = model.joint.head.bias.data.clone()
    model.joint.head.bias.data = case["joint_bias"]
    try:
        assert greedy(model, case["enc_proj"])[0] == case["expect.tokens"].tolist()
    finally:
        model.joint.head.bias.data = kept


def test_batched_decoding_equals_one_by_one(cases, model):
    from decode import greedy_batch
    rows = [case["expect.enc_proj"] for case in cases.values()]
    counts = torch.tensor([len(r) for r in rows])
    batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    assert greedy_batch(model, batch, counts) == [case["expect.tokens"].tolist() for case in cases.values()]


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
