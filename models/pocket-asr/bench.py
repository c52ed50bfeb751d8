"""The first minute on a new machine: does each part run on its GPU, is the lattice kernel right there, and how fast is a step?

Prints the time of a training step for some batch sizes, with and without compiled layers, so that the run can be started with
what is faster (`ASR_TRAIN="--compile --batch-seconds 2400"`).
"""
import argparse
import os
import time

import torch
from augment import Augment
from loss import scan_torch, scan_triton, skewed, triton
from model import Config, Parakeet
from optimiser import Optimiser
from train import losses


def scans_agree(device):
    """The kernel against plain torch, on a random lattice."""
    torch.manual_seed(0)
    weights = skewed(torch.log_softmax(torch.randn(4, 40, 9, 9, device=device), -1), 49, -1e30)
    ends = torch.tensor([[40, 8], [33, 5], [20, 0], [7, 3]], device=device)
    at = torch.arange(49, device=device)[:, None, None, None]
    u = torch.arange(9, device=device)[None, None, :, None]
    weights = weights.masked_fill((at - u >= ends[:, 0][None, :, None, None]) | (u > ends[:, 1][None, :, None, None]), -1e30)
    return all(torch.allclose(scan_torch(weights, ends, 4, way).clamp(min=-1e4), scan_triton(weights, ends, 4, way).clamp(min=-1e4), atol=1e-3) for way in (False, True))


def step_time(model, augment, optimiser, seconds, length, tokens, device, half):
    b = max(1, int(seconds / length))
    n = int(length * 16000)
    batch = ((torch.randn(b, n, device=device) * 2000).to(torch.int16), torch.full((b,), n, device=device), torch.randint(1, 500, (b, tokens), device=device),
             torch.full((b,), tokens, device=device))

    def once():
        ctc, full = losses(model, augment, batch, half, True)
        (ctc + full).backward()
        for p in model.parameters():
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        optimiser.step(1e-5)
        model.zero_grad(set_to_none=True)

    for _ in range(3):
        once()
    sync = torch.cuda.synchronize if device == "cuda" else lambda: None
    sync()
    began, count = time.time(), 6 if device == "cuda" else 1
    for _ in range(count):
        once()
    sync()
    return (time.time() - began) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit")
    parser.add_argument("--seconds", type=float, default=40)
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = device == "cuda"
    if triton is not None and (half or os.environ.get("TRITON_INTERPRET")):
        print("lattice kernel equals torch:", scans_agree(device), flush=True)
    config = Config() if half else Config(hidden_size=32, num_hidden_layers=1, intermediate_size=64, subsampling_conv_channels=8, decoder_hidden_size=32)
    augment, began = Augment().to(device), time.time()
    for compiled in (False, True):
        if compiled and time.time() - began > args.seconds:
            break
        model = Parakeet(config).to(device).train()
        optimiser = Optimiser(model)
        try:
            if compiled:
                for layer in model.encoder.layers:
                    layer.compile(dynamic=True)
            for seconds, length in ((1800, 3), (1800, 8), (3600, 8)) if half else ((4, 2),):
                taken = step_time(model, augment, optimiser, seconds, length, int(length * 4.5), device, half)
                memory = torch.cuda.max_memory_allocated() / 2**30 if half else 0
                print(f"compiled {compiled}: {seconds} s in utterances of {length} s: {taken * 1000:.0f} ms a step, {seconds / taken:.0f} x real time, {memory:.0f} GiB", flush=True)
        except Exception as error:  # noqa: BLE001 what does not work here is not used
            print(f"compiled {compiled}: {type(error).__name__}: {str(error)[:300]}", flush=True)


if __name__ == "__main__":
    main()
