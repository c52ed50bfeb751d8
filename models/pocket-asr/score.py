"""Transcribes files with trained or packed weights on the CPU, as `id<TAB>text` for a scorer.

    score.py MODEL.safetensors TOKENIZER.json OUT.tsv FILE...
"""
import sys
from pathlib import Path

import pack
import soundfile
import torch
from features import FrontEnd
from model import Config, Parakeet
from tokenizers import Tokenizer
from train import transcribe


def load(path):
    model = Parakeet(Config.from_json(Path(path).with_name("config.json")))
    left = [k for k in pack.load(model, path) if not k.startswith("ctc.")]
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
