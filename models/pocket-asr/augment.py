"""What happens to clean speech on its way to a microphone, for whole batches on the GPU: tempo and pitch, room, tone of the
microphone, bandwidth, noise, other voices, level, 8-bit companding; then warps of the vocal tract and masks on the features."""
import math

import torch
import torch.nn.functional as F
from features import GUARD, HOP, N_FFT, FrontEnd, mel_filters

RATE_HZ = 16000
TAIL = 8192  # longest room, in samples
MOST_SILENCE = 0.6  # seconds, before and after
WARPS = torch.linspace(0.86, 1.16, 31).tolist()


def uniform(n, low, high, device):
    return torch.rand(n, device=device) * (high - low) + low


def stretched(audio, lengths, pace, before, n_out):
    """[B, n_out]: each row played `pace` [B] times as fast, after `before` [B] samples of silence; cubic interpolation."""
    at = (torch.arange(n_out, device=audio.device)[None] - before[:, None]) * pace[:, None]
    whole = at.floor()
    f = at - whole
    base = whole.long()
    inside = (base >= 0) & (base < lengths[:, None] - 1)
    take = lambda k: audio.gather(1, (base + k).clamp(0, audio.shape[1] - 1)).float()  # noqa: E731
    p0, p1, p2, p3 = take(-1), take(0), take(1), take(2)
    out = p1 + 0.5 * f * (p2 - p0 + f * (2 * p0 - 5 * p1 + 4 * p2 - p3 + f * (3 * (p1 - p2) + p3 - p0)))
    new = (before + (lengths / pace).long()).clamp(max=n_out)
    return out * inside, new


def rooms(b, device, share=0.4):
    """Impulse responses [B, TAIL]: the direct sound, some echoes, a tail that dies away; for the rest only the direct sound."""
    time = torch.arange(TAIL, device=device) / RATE_HZ
    rt60 = uniform(b, 0.08, 0.8, device)[:, None]
    decay = torch.exp(-6.9 * time[None] / rt60)
    tail = torch.randn(b, TAIL, device=device) * decay
    tail = tail * (torch.rand(b, TAIL, device=device) < 0.02 + time * 12)  # sparse at first
    tail[:, :16] = 0
    tail = tail / tail.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
    wet = torch.pow(10, uniform(b, -1.2, 0.15, device))[:, None] * (torch.rand(b, 1, device=device) < share)
    room = tail * wet
    room[:, 0] = 1
    return room


def tones(b, n_bins, device):
    """Amplitudes [B, n_bins] of a microphone: a crooked line over octaves, sometimes the ends cut off."""
    hertz = torch.linspace(0, RATE_HZ / 2, n_bins, device=device)
    octave = (torch.log2(hertz.clamp(min=40) / 40) / math.log2(200) * 8).clamp(max=7.999)
    knots = torch.randn(b, 9, device=device) * uniform(b, 0, 5, device)[:, None] + torch.linspace(-1, 1, 9, device=device) * uniform(b, -6, 6, device)[:, None]
    low = octave.long()
    share = octave - low
    decibel = knots[:, low] * (1 - share) + knots[:, low + 1] * share

    def edge(at, order):  # -3 dB at `at` [B]
        return -10 * torch.log10(1 + at.pow(2 * order).clamp(max=1e8))
    high_cut = torch.where(torch.rand(b, device=device) < 0.25, uniform(b, 3000, 7500, device), 1e6)
    low_cut = torch.where(torch.rand(b, device=device) < 0.3, uniform(b, 60, 350, device), 1e-3)
    decibel = decibel + edge(hertz[None] / high_cut[:, None], 6) + edge(low_cut[:, None] / hertz.clamp(min=1)[None], 3)
    return torch.pow(10, decibel.clamp(-80, 30) / 20)


def noises(b, n_bins, n, device):
    """[B, n] of coloured noise at RMS 1, with a hum in some."""
    hertz = torch.linspace(0, RATE_HZ / 2, n_bins, device=device).clamp(min=30)
    colour = (hertz / 1000)[None].pow(-uniform(b, -0.3, 1.3, device)[:, None]) * tones(b, n_bins, device)
    spectrum = torch.complex(torch.randn(b, n_bins, device=device), torch.randn(b, n_bins, device=device)) * colour
    noise = torch.fft.irfft(spectrum, n)
    return noise / noise.square().mean(1, keepdim=True).sqrt().clamp(min=1e-9)


class Augment(torch.nn.Module):
    """Features for training; `strength` 0 leaves all as it is."""

    def __init__(self):
        super().__init__()
        self.front = FrontEnd()
        filters = mel_filters()
        bins = torch.arange(N_FFT // 2 + 1, dtype=torch.float64)
        bank = []
        for warp in WARPS:  # the filters of a longer or shorter vocal tract: below 4.8 kHz straight, above it bent to meet the end
            corner = 0.6 * (N_FFT // 2) * min(1, 1 / warp)
            end = N_FFT // 2
            source = torch.where(bins <= corner, bins * warp, end - (end - warp * corner) / (end - corner) * (end - bins))
            low = source.floor().clamp(0, end - 1).long()
            share = (source - low).clamp(0, 1)
            moved = torch.zeros_like(filters)
            moved.index_add_(1, low, filters * (1 - share))
            moved.index_add_(1, low + 1, filters * share)
            bank.append(moved)
        self.register_buffer("bank", torch.stack(bank).float(), persistent=False)

    @torch.no_grad()
    def waves(self, audio, lengths):
        """[B, n] f32 and lengths, of i16 audio [B, n]."""
        b, device = len(audio), audio.device
        pace = uniform(b, 0.88, 1.14, device)
        before, after = (uniform(b, 0, MOST_SILENCE, device) * RATE_HZ).long(), (uniform(b, 0, MOST_SILENCE, device) * RATE_HZ).long()
        n = int((audio.shape[1] / 0.88 + 2 * MOST_SILENCE * RATE_HZ) // HOP + 1) * HOP  # of the widest row, known without asking the GPU
        wave, ends = stretched(audio / 32768, lengths, pace, before, n)
        ends = (ends + after).clamp(max=n)
        level = (wave.square().sum(1, keepdim=True) / (ends - before - after).clamp(min=1)[:, None]).sqrt().clamp(min=1e-5)
        size = 1 << (n + TAIL - 1).bit_length()
        spectrum = torch.fft.rfft(wave, size)
        spectrum = spectrum * torch.fft.rfft(rooms(b, device), size) * tones(b, size // 2 + 1, device)
        wave = torch.fft.irfft(spectrum, size)[:, :n]
        loud = (wave.square().mean(1, keepdim=True)).sqrt().clamp(min=1e-6)
        wave = wave / loud
        quiet = torch.rand(b, 1, device=device)
        snr = torch.where(quiet < 0.3, uniform(b, 40, 70, device)[:, None], uniform(b, 6, 40, device)[:, None])
        noise = noises(b, n // 2 + 1, n, device)
        others = sum(wave.roll((k, k * 7919), (0, 1)) for k in range(1, 6)) / 5**0.5
        is_babble = (torch.rand(b, 1, device=device) < 0.15) & (quiet >= 0.3)
        wave = wave + torch.where(is_babble, others * 0.7, noise) * torch.pow(10, -snr / 20)
        wave = wave * torch.pow(10, uniform(b, -45, -8, device)[:, None] / 20)
        is_companded = torch.rand(b, 1, device=device) < 0.06
        companded = wave.clamp(-1, 1)
        companded = companded.sign() * torch.log1p(255 * companded.abs()) / math.log(256)
        companded = (companded * 127).round() / 127
        companded = companded.sign() * (torch.expm1(companded.abs() * math.log(256))) / 255
        wave = torch.where(is_companded, companded, wave).clamp(-1, 1)
        wave = (wave * 32768).round() / 32768
        inside = torch.arange(n, device=device)[None] < ends[:, None]
        return wave * inside, ends

    @torch.no_grad()
    def forward(self, audio, lengths):
        """Features [B, T, 128] and frames [B]."""
        wave, ends = self.waves(audio, lengths)
        frames = ends // HOP
        power = self.front.power(wave)[:, :, :wave.shape[1] // HOP]
        warp = torch.randint(len(WARPS), (len(wave),), device=wave.device)
        warp = torch.where(torch.rand(len(wave), device=wave.device) < 0.7, warp, (len(WARPS) * 14) // 30)
        features = self.front.normalised(self.bank[warp] @ power, frames).transpose(1, 2)
        return masked(features, frames), frames


def masked(features, frames, n_low=2, widest=24, n_gaps=4, longest=0.05):
    """SpecAugment, arXiv:1904.08779."""
    b, t, m = features.shape
    device = features.device
    keep = torch.ones(b, t, m, dtype=torch.bool, device=device)
    band, time = torch.arange(m, device=device)[None], torch.arange(t, device=device)[None]
    for _ in range(n_low):
        width = (torch.rand(b, 1, device=device) * widest).long()
        start = (torch.rand(b, 1, device=device) * (m - width)).long()
        keep &= ~((band >= start) & (band < start + width))[:, None]
    for _ in range(n_gaps):
        width = torch.rand(b, 1, device=device) * longest * frames[:, None]
        start = torch.rand(b, 1, device=device) * (frames[:, None] - width)
        keep &= ~((time >= start) & (time < start + width))[:, :, None]
    return features * keep


def is_same_without_warp():
    """The middle filters are the front end's own."""
    return F.mse_loss(Augment().bank[(len(WARPS) * 14) // 30], mel_filters().float()) < 1e-12 and GUARD > 0
