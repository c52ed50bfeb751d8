"""The mel front end of Parakeet (NeMo's, as transformers computes it), for a batch, on any device; all in f32.

16 kHz, pre-emphasis 0.97, STFT of 512 with a symmetric Hann window of 400 every 160 samples, zero padding, power, 128 Slaney
filters, log(x + 2^-24), then each filter to mean 0 and deviation 1 over the valid frames of its utterance.
"""
import math

import torch

SAMPLE_RATE_HZ, HOP, N_FFT, WINDOW, N_MELS = 16000, 160, 512, 400, 128
GUARD = 2.0**-24


def mel_filters():
    """[128, 257], f64."""
    def mel(f):
        return 3 * f / 200 if f < 1000 else 15 + 27 * math.log(f / 1000) / math.log(6.4)

    def hertz(m):
        return torch.where(m < 15, m * 200 / 3, 1000 * torch.exp((m - 15) * math.log(6.4) / 27))

    points = hertz(torch.linspace(0, mel(8000.0), N_MELS + 2, dtype=torch.float64))
    bins = torch.linspace(0, 8000, N_FFT // 2 + 1, dtype=torch.float64)
    rise = (bins[None] - points[:-2, None]) / (points[1:-1] - points[:-2])[:, None]
    fall = (points[2:, None] - bins[None]) / (points[2:] - points[1:-1])[:, None]
    return torch.minimum(rise, fall).clamp(min=0) * (2 / (points[2:] - points[:-2]))[:, None]


class FrontEnd(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("filters", mel_filters().float(), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW, periodic=False, dtype=torch.float64).float(), persistent=False)

    def power(self, samples):
        """[B, 257, T + 1] of samples [B, n]."""
        emphasised = torch.cat([samples[:, :1], samples[:, 1:] - 0.97 * samples[:, :-1]], 1)
        spectrum = torch.stft(emphasised, N_FFT, HOP, WINDOW, self.window, center=True, pad_mode="constant", return_complex=True)
        return torch.view_as_real(spectrum).square().sum(-1)

    def normalised(self, mel, frames):
        """log-mel [B, 128, T] of mel energies, with statistics over the first `frames` [B] only; the rest is 0."""
        logs = torch.log(mel + GUARD)
        mask = (torch.arange(logs.shape[2], device=logs.device)[None] < frames[:, None])[:, None]
        count = frames[:, None, None].clamp(min=1)
        mean = (logs * mask).sum(2, keepdim=True) / count
        spread = ((logs - mean).square() * mask).sum(2, keepdim=True) / (count - 1).clamp(min=1)
        return ((logs - mean) / (spread.sqrt() + 1e-5)) * mask

    def forward(self, samples, lengths):
        """Features [B, T, 128] and frames [B] of samples [B, n] in -1..1, of which `lengths` [B] count and the rest is 0."""
        frames = lengths // HOP
        mel = self.filters @ self.power(samples)[:, :, :-1] if samples.shape[1] % HOP == 0 else self.filters @ self.power(samples)
        return self.normalised(mel, frames)[:, :, :int(samples.shape[1] // HOP)].transpose(1, 2), frames
