"""Who speaks: which of Kokoro's voices how often, which are kept for testing, and the voices that run on a CPU."""
import subprocess
from pathlib import Path

# Kokoro's English voices, and those of other languages, who speak English with an accent.
ENGLISH = ("af_alloy af_aoede af_bella af_heart af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky am_adam am_echo am_eric am_fenrir "
           "am_liam am_michael am_onyx am_puck am_santa bf_alice bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis").split()
FOREIGN = ("ef_dora em_alex em_santa ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara im_nicola jf_alpha jf_gongitsune jf_nezumi jf_tebukuro jm_kumo "
           "pf_dora pm_alex pm_santa zf_xiaobei zf_xiaoni zf_xiaoxiao zf_xiaoyi zm_yunjian zm_yunxi zm_yunxia zm_yunyang").split()
UNSEEN = ["af_sarah", "am_liam", "bf_lily"]  # nobody learns from these: what an unknown voice costs is measured on them
SEEN = [name for name in ENGLISH if name not in UNSEEN]


def is_british(names):
    return names[0].startswith("b")


def kokoro(rng):
    """Whom to mix, and how fast they speak."""
    speed = rng.uniform(0.75, 1.3)
    if rng.random() < 0.45:
        return [rng.choice(SEEN)], speed
    if rng.random() < 0.35:
        return [rng.choice(FOREIGN)], speed
    return [rng.choice(SEEN), rng.choice(SEEN + FOREIGN)], speed


def held_out(rng):
    return [rng.choice(UNSEEN)], rng.uniform(0.85, 1.15)


CPU = ["flite:slt", "flite:rms", "espeak", "flite:awb", "flite:kal16", "festival:cmu_us_slt_arctic_hts", "flite:slt", "espeak", "flite:rms", "festival:kal_diphone",
       "flite:awb", "festival:ked_diphone"]
ESPEAK = ["en-us", "en-us", "gmw/en", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-us-nyc", "en-gb-x-gbclan"]
VARIANTS = "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 Andy Annie Gene Lee Michael Alex Alicia linda steph travis victor".split()


def next_on_cpu(n):
    return CPU[n % len(CPU)]


def _run(command, text=None):
    try:
        subprocess.run(command, input=text and text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pass


def on_cpu(rng, voice, lines, folder):
    """(line, path of its .wav) of each line that the voice said."""
    kind, _, name = voice.partition(":")
    paths = [Path(folder) / f"{i}.wav" for i in range(len(lines))]
    if kind == "festival":
        for start in range(0, len(lines), 40):
            stretch = rng.uniform(0.8, 1.35)
            script = Path(folder) / "say.scm"
            says = [f'(utt.save.wave (utt.synth (Utterance Text "{line}")) "{path}")' for line, path in zip(lines[start:start + 40], paths[start:start + 40])]
            script.write_text(f"(voice_{name})\n(Parameter.set 'Duration_Stretch {stretch:.2f})\n" + "\n".join(says))
            _run(["festival", "-b", str(script)])
    for line, path in zip(lines, paths):
        if kind == "flite":
            _run(["flite", "-voice", name, "--setf", f"duration_stretch={rng.uniform(0.75, 1.35):.2f}", "-t", line, "-o", str(path)])
        elif kind == "espeak":
            speaker = rng.choice(ESPEAK) + rng.choice(["", "+" + rng.choice(VARIANTS), "+" + rng.choice(VARIANTS)])
            _run(["espeak-ng", "-v", speaker, "-s", str(rng.randint(125, 200)), "-p", str(rng.randint(25, 75)), "-w", str(path), line])
        if path.exists():
            yield line, path
