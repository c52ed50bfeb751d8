"""Makes `silero.onnx.zz` of Silero VAD: the network for 16 kHz alone, without its control flow, weights in f16.

    pip install onnx onnxruntime numpy soundfile zopfli silero-vad==6.0.0 --no-deps
    python pack.py                 # writes silero.onnx.zz beside itself
    python pack.py CLIP.flac ...   # and compares with the published network; --golden FILE writes what that one gave

The published graph holds the same network for many cases (`If`), and takes one window at a time. This one takes any number of
windows of one sound in order: the convolutions see them as a batch, the LSTM as a sequence.

    windows [n, 576] f32   64 samples of before and 512 new ones, at 16 kHz
    stft [258, 1, 256]     what `stft` gives: a formula needs no room in the file
    h, c    [1, 1, 128]    zeros at the start, then what came out
    ->  probability [n, 1, 1], h_out, c_out
"""
import argparse
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from zz import squeezed

WINDOW, CONTEXT, HIDDEN = 512, 64, 128
BINS, TAPS = 129, 256


def published():
    import importlib.util

    folder = os.path.dirname(importlib.util.find_spec("silero_vad").origin)
    return onnx.load(os.path.join(folder, "data", "silero_vad_16k_op15.onnx"))


def stft():
    """The rows of the short-time Fourier transform: cosines, then falling sines, under a Hann window."""
    turns = np.arange(BINS)[:, None] * np.arange(TAPS) % TAPS * (2 * np.pi / TAPS)
    window = 0.5 - 0.5 * np.cos(np.arange(TAPS) * (2 * np.pi / TAPS))
    return np.concatenate([np.cos(turns), -np.sin(turns)])[:, None].astype(np.float32) * window.astype(np.float32)


def gates(tensor):
    """Rows of PyTorch's input, forget, cell, output in ONNX' order: input, output, forget, cell."""
    i, f, g, o = np.split(tensor, 4)
    return np.concatenate([i, o, f, g])


def flat(source):
    """The network as a graph without branches."""
    w = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.graph.initializer}
    constants, nodes = {}, []

    def constant(name, array):
        constants[name] = array
        return name

    def node(kind, inputs, outputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, outputs if isinstance(outputs, list) else [outputs], **attributes))

    def ints(name, *values):
        return constant(name, np.array(values, dtype=np.int64))

    def conv(inputs, output, kernel, stride=1, pad=0):
        # rten knows no defaults of these.
        node("Conv", inputs, output, kernel_shape=[kernel], strides=[stride], pads=[pad, pad], dilations=[1], group=1)

    # Magnitudes of a short-time Fourier transform: [n, 1, 640] -> [n, 129, 4].
    node("Pad", ["windows", ints("pads", 0, 0, 0, 64)], "padded", mode="reflect")
    node("Unsqueeze", ["padded", ints("axis1", 1)], "row")
    assert np.abs(stft() - w["model.stft.forward_basis_buffer"]).max() < 1e-6
    conv(["row", "stft"], "spectrum", TAPS, stride=128)
    node("Split", ["spectrum", ints("halves", BINS, BINS)], ["real", "imaginary"], axis=1)
    node("Mul", ["real", "real"], "real2")
    node("Mul", ["imaginary", "imaginary"], "imaginary2")
    node("Add", ["real2", "imaginary2"], "power")
    node("Sqrt", ["power"], "x0")
    # The encoder: four frames become one, [n, 128, 1].
    for index, stride in enumerate([1, 2, 2, 1]):
        name = f"model.encoder.{index}.reparam_conv"
        weights = [constant(f"encoder{index}.weight", w[f"{name}.weight"]), constant(f"encoder{index}.bias", w[f"{name}.bias"])]
        conv([f"x{index}", *weights], f"y{index}", 3, stride, pad=1)
        node("Relu", [f"y{index}"], f"x{index + 1}")
    # The LSTM over the windows.
    node("Transpose", ["x4"], "sequence", perm=[0, 2, 1])
    rnn = "model.decoder.rnn"
    weights = [
        constant("lstm.w", gates(w[f"{rnn}.weight_ih"])[None]),
        constant("lstm.r", gates(w[f"{rnn}.weight_hh"])[None]),
        constant("lstm.b", np.concatenate([gates(w[f"{rnn}.bias_ih"]), gates(w[f"{rnn}.bias_hh"])])[None]),
    ]
    node("LSTM", ["sequence", *weights, "", "h", "c"], ["states", "h_out", "c_out"], hidden_size=HIDDEN)
    # states [n, 1, 1, 128] -> probabilities [n, 1, 1].
    node("Squeeze", ["states", ints("axis2", 1)], "state")
    node("Transpose", ["state"], "column", perm=[0, 2, 1])
    node("Relu", ["column"], "positive")
    last = "model.decoder.decoder.2"
    conv(["positive", constant("last.weight", w[f"{last}.weight"]), constant("last.bias", w[f"{last}.bias"])], "logit", 1)
    node("Sigmoid", ["logit"], "probability")

    value = helper.make_tensor_value_info
    state = [1, 1, HIDDEN]
    inputs = [
        value("windows", TensorProto.FLOAT, ["n", CONTEXT + WINDOW]),
        value("stft", TensorProto.FLOAT, [2 * BINS, 1, TAPS]),
        value("h", TensorProto.FLOAT, state),
        value("c", TensorProto.FLOAT, state),
    ]
    outputs = [
        value("probability", TensorProto.FLOAT, ["n", 1, 1]),
        value("h_out", TensorProto.FLOAT, state),
        value("c_out", TensorProto.FLOAT, state),
    ]
    return constants, nodes, inputs, outputs


def model(parts, halves):
    """`halves`: weights of more than 1000 numbers are stored as f16 (which rten reads as f32)."""
    constants, nodes, inputs, outputs = parts
    tensors = []
    for name, array in constants.items():
        is_large = halves and array.dtype == np.float32 and array.size > 1000
        tensors.append(numpy_helper.from_array(array.astype(np.float16) if is_large else array, name))
    graph = helper.make_graph(nodes, "silero-vad-16k", inputs, outputs, tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8, producer_name="pack.py")
    return made


def aligned(made):
    """The same, each f16 tensor's numbers at an even place of the file: rten reads them where they lie."""
    tensors = list(made.graph.initializer)
    halves = [tensor for tensor in tensors if tensor.data_type == TensorProto.FLOAT16]
    places = lambda: [made.SerializeToString().find(tensor.raw_data) for tensor in halves]
    for index, tensor in enumerate(halves):
        # A doc_string comes after the numbers of its tensor, and moves those of the next one by three bytes.
        if places()[index] % 2:
            before = tensors.index(tensor) - 1
            if before < 0:
                made.graph.name += "_"
            else:
                tensors[before].doc_string = "_"
    assert all(place % 2 == 0 for place in places()), places()
    return made


def windows_of(samples):
    n = -(-len(samples) // WINDOW)
    padded = np.zeros(CONTEXT + n * WINDOW, np.float32)
    padded[CONTEXT : CONTEXT + len(samples)] = samples
    return np.stack([padded[i * WINDOW : i * WINDOW + WINDOW + CONTEXT] for i in range(n)])


def run_published(session, windows):
    state, found = np.zeros((2, 1, HIDDEN), np.float32), []
    for window in windows:
        probability, state = session.run(None, {"input": window[None], "state": state, "sr": np.array(16000, np.int64)})
        found.append(float(probability[0, 0]))
    return np.array(found)


def run_flat(session, windows):
    zeros = np.zeros((1, 1, HIDDEN), np.float32)
    return session.run(["probability"], {"windows": windows, "stft": stft(), "h": zeros, "c": zeros})[0][:, 0, 0]


def rounded(parts):
    constants, *rest = parts
    halve = lambda a: a.astype(np.float16).astype(np.float32) if a.dtype == np.float32 and a.size > 1000 else a
    return ({name: halve(array) for name, array in constants.items()}, *rest)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("clips", nargs="*")
    arguments.add_argument("--golden")
    options = arguments.parse_args()
    source = published()
    parts = flat(source)
    stored = aligned(model(parts, halves=True))
    with open(os.path.join(HERE, "silero.onnx.zz"), "wb") as file:
        file.write(squeezed(stored.SerializeToString()))
    if not options.clips:
        return
    import onnxruntime
    import soundfile

    session = lambda made: onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    reference, exact, halved = session(source), session(model(parts, halves=False)), session(model(rounded(parts), halves=False))
    golden, worst = {}, [0.0, 0.0]
    for path in options.clips:
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == 16000
        windows = windows_of(samples)
        expected = run_published(reference, windows)
        for index, made in enumerate([exact, halved]):
            worst[index] = max(worst[index], float(np.abs(run_flat(made, windows) - expected).max()))
        golden[os.path.splitext(os.path.basename(path))[0]] = [round(p, 5) for p in expected.tolist()]
    print(f"{len(golden)} clips; worst difference of a probability: flat {worst[0]:.1e}, f16 weights {worst[1]:.1e}")
    if options.golden:
        with open(options.golden, "w", encoding="utf-8") as file:
            json.dump(golden, file)


if __name__ == "__main__":
    main()
