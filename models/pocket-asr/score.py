"""Transcribes files with trained or packed weights on the CPU, as `id<TAB>text` for a scorer.

    score.py MODEL.safetensors TOKENIZER.json OUT.tsv FILE...
"""
import sys
from pathlib import Path

import soundfile
import torch
from features import FrontEnd
from model import Config, Parakeet
from pack import unpacked
from safetensors import safe_open
from safetensors.torch import load_file
from tokenizers import Tokenizer
from train import transcribe


def load(path):
    model = Parakeet(Config.from_json(Path(path).with_name("config.json")))
    with safe_open(path, "pt") as file:
        is_packed = any(key.endswith("_packed") for key in file.keys())
    state = unpacked(path) if is_packed else load_file(path)
    shapes = model.state_dict()
    state = {k: v.float().reshape(shapes[k].shape) for k, v in state.items() if k in shapes and "num_batches" not in k}
    missing, _ = model.load_state_dict(state, strict=False)
    left = [k for k in missing if not k.startswith("ctc.") and "num_batches" not in k]
    if left:
        raise SystemExit(f"{path} has no {left[:3]}")
    return model.eval()


def main():
    model_path, tokenizer_path, out, *files = sys.argv[1:]
    model, tokenizer = load(model_path), Tokenizer.from_file(tokenizer_path)
    audios = []
    for path in files:
        samples, rate = soundfile.read(path, dtype="float32")
        if rate != 16000 or samples.ndim != 1:
            raise SystemExit(f"{path} is not 16 kHz mono")
        audios.append(torch.from_numpy(samples))
    texts = transcribe(model, FrontEnd(), tokenizer, audios, "cpu", batch=8)
    Path(out).write_text("".join(f"{Path(f).stem}\t{t}\n" for f, t in zip(files, texts)))


if __name__ == "__main__":
    main()
