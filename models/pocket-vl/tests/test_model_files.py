"""The packed file comes back as it was; the guard ends quotations; scores do what the issue says."""

import os

import pytest
import torch

from pocket_vl import score
from pocket_vl.decode import Guard
from pocket_vl.pack import bits_of, grouped, pack, rounded, rules, scale4, scale8, ungrouped, unpack, write
from pocket_vl.render.windows import Truth

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLAN = rules(os.path.join(HERE, "pack.plan"))


def test_packed_values_come_back_at_the_rounding_of_their_format(tmp_path):
    torch.manual_seed(0)
    state = {"a.weight": torch.randn(5, 70), "b.weight": torch.randn(4, 64) * 3, "n.weight": torch.randn(9)}
    plan = [(8, "a.*"), (4, "*")]
    write(state, plan, str(tmp_path / "m.safetensors"))
    back = unpack(str(tmp_path / "m.safetensors"))
    g = grouped(state["a.weight"])
    assert torch.equal(back["a.weight"], ungrouped(rounded(g, scale8(g), -127, 127), state["a.weight"]))
    g = grouped(state["b.weight"])
    assert torch.equal(back["b.weight"], ungrouped(rounded(g, scale4(g), -8, 7), state["b.weight"]))
    assert torch.equal(back["n.weight"], state["n.weight"].bfloat16().float())


def test_the_bundled_weights_survive_unpacking_and_packing():
    dense = unpack(os.path.join(HERE, "model.safetensors.zz"))
    names = [n for n in dense if n.endswith(("layers.4.mlp.down_proj.weight", "layers.0.mlp.up_proj.weight", "norm.weight"))]
    some = {n: dense[n] for n in names}
    tensors, meta = pack(some, PLAN)
    for n in names:
        if n + "_packed" not in tensors:
            continue
        bits = bits_of(n, PLAN)
        assert meta["packed:" + n] == f"q{bits} {dense[n].shape[1]}"
        g = grouped(dense[n])
        s = scale8(g) if bits == 8 else scale4(g)
        again = ungrouped(rounded(g, s, -127, 127) if bits == 8 else rounded(g, s, -8, 7), dense[n])
        assert (again - dense[n]).abs().max() <= 1e-3 * dense[n].abs().max()


def test_the_error_of_a_column_is_taken_up_by_the_later_ones():
    from pocket_vl.compensate import compensated

    torch.manual_seed(1)
    x = torch.randn(400, 12) @ torch.randn(12, 96) + 0.1 * torch.randn(400, 96)  # inputs that hang together
    w = torch.randn(20, 96)
    q, scales = compensated(w, x.T @ x)
    plain = ungrouped(rounded(grouped(w), scales, -8, 7), w)
    assert torch.equal(q, ungrouped(rounded(grouped(q), scales, -8, 7), q))  # it lies on the grid of the scales
    off = lambda v: ((x @ (v - w).T) ** 2).mean()
    assert off(q) < 0.5 * off(plain)


def test_scales_that_are_known_are_kept_in_the_packed_file(tmp_path):
    torch.manual_seed(2)
    w = torch.randn(6, 64)
    scales = scale4(grouped(w)) * 1.25
    scales = scales.half().float()
    q = ungrouped(rounded(grouped(w), scales, -8, 7), w)
    write({"a.weight": q}, [(4, "*")], str(tmp_path / "m.safetensors"), {"a.weight": scales})
    assert torch.equal(unpack(str(tmp_path / "m.safetensors"))["a.weight"], q)


class Letters:
    """A tokenizer of single characters."""

    letters = '"abc unreadl.'

    def get_vocab_size(self):
        return len(self.letters)

    def decode(self, ids):
        return "".join(self.letters[i] for i in ids)

    def encode(self, s, add_special_tokens=False):
        return type("E", (), {"ids": [self.letters.index(c) for c in s]})()


def guarded(text, doubtful):
    tok = Letters()
    guard, out = Guard(tok, 0.5).fresh(), []
    for i, ch in enumerate(text):
        instead = guard.check(tok.letters.index(ch), 0.1 if i in doubtful else 0.9)
        if instead:
            back, ids = instead
            return tok.decode(out[: len(out) - back] + ids)
        out.append(tok.letters.index(ch))
    return tok.decode(out)


def test_a_doubtful_quotation_ends_at_the_last_whole_word():
    assert guarded('a "abc bca cab" b', {}) == 'a "abc bca cab" b'
    assert guarded('a "abc bca cab" b', {9}) == 'a "abc"'
    assert guarded('a "abc bca cab" b', {10}) == 'a "abc bca"'
    assert guarded('a "abc bca" b', {4}) == 'a "unreadable"'
    assert guarded('a "abc" b', {0, 8}) == 'a "abc" b'


def test_scores_reward_what_is_there_and_punish_inventions():
    T = Truth(kind="calendar", app="Planner", title="May 2024", main=["10:00 Yoga"], buttons=["Today"])
    shown = ["Planner", "May 2024", "10:00 Yoga", "Today"]
    good = score.narration(T, shown, 'A calendar in Planner, titled "May 2024". It shows "10:00 Yoga". Buttons: Today.')
    assert good["score"] == pytest.approx(1.0) and good["false"] == 0
    bad = score.narration(T, shown, 'A calendar in Planner, titled "June 1999". Error: "The disk is full".')
    assert bad["false"] == 2 and bad["score"] < 0.2 and not bad["error"]
    hurt = Truth(kind="form", title="Login", error="Wrong password.")
    assert score.narration(hurt, ["Login", "Wrong password."], 'A form. Error: "Wrong password."')["error"]
    assert not score.narration(hurt, ["Login", "Wrong password."], "A form with no error.")["error"]
    assert score.answered("It is 14.", "14") and not score.answered("140", "14")


def test_positions_equal_those_of_training():
    from pocket_vl.batches import layout
    from pocket_vl.decode import positions

    _, _, W, H, n, _ = layout("window")
    pos = positions(n + 20, 7, W, H, "cpu")
    assert pos[:, 7].tolist() == [7, 7, 7] and pos[1, 7 + n - 1] == 7 + H // 32 - 1 and pos[2, 7 + n - 1] == 7 + W // 32 - 1
    assert pos[0, 7 + n] == 7 + max(W, H) // 32
