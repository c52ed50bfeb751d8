"""Phonemes of English text by libespeak-ng (GPL-3.0; called when training data are made, part of nothing that ships), in the
symbols that the neural voices were trained with: IPA for Piper, Kokoro's letters for Kokoro."""
import ctypes
import functools
import re

IPA_WITH_TIES = 0x02 | 0x80 | (ord("^") << 8)
PUNCTUATION = re.compile(r"([.,!?;:]+)")

# What espeak-ng writes, and Kokoro's letter for it; longest first. The second table is for American, the third for British.
KOKORO = {"a^ɪ": "I", "a^ʊ": "W", "d^ʒ": "ʤ", "e^ɪ": "A", "t^ʃ": "ʧ", "ɔ^ɪ": "Y", "ə^l": "ᵊl", "ʔ^n": "tn", "ʲ": "", "ɚ": "əɹ",
          "r": "ɹ", "x": "k", "ç": "k", "ɐ": "ə", "ɬ": "l", "ɾ": "T", "ʔ": "t", "\u0303": "", "\u0329": "", "g": "ɡ"}
AMERICAN = {"o^ʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪ^ə": "iə", "ɪə": "iə", "ː": ""}
BRITISH = {"e^ə": "ɛː", "iə": "ɪə", "ɪ^ə": "ɪə", "ə^ʊ": "Q", "o^ʊ": "Q", "ɜːɹ": "ɜːɹ"}


class Espeak:
    """One library a process; not for use from several threads."""

    def __init__(self, voice="en-us", library="libespeak-ng.so.1", data=None):
        self.library = ctypes.CDLL(library)
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
        if self.library.espeak_Initialize(2, 0, data and str(data).encode(), 0x8000) < 0:
            raise OSError("espeak-ng finds no data")
        self.voice = None
        self.choose(voice)

    def choose(self, voice):
        if voice != self.voice:
            if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise OSError(f"espeak-ng has no voice {voice}")
            self.voice = voice

    def ipa(self, text):
        """IPA with `^` between the letters of one sound, and the punctuation of the text."""
        out = []
        for piece in PUNCTUATION.split(text):
            if not piece.strip():
                continue
            if PUNCTUATION.fullmatch(piece):
                out.append(piece[0])
                continue
            pointer = ctypes.c_char_p(piece.strip().encode())
            sounds = []
            while pointer.value:
                sounds.append(self.library.espeak_TextToPhonemes(ctypes.byref(pointer), 1, IPA_WITH_TIES).decode())
            out.append((" " if out else "") + re.sub(r"\([a-z-]+\)", "", " ".join(sounds)).strip())
        return "".join(out)


def piper(ipa):
    """The same in the characters of Piper's English voices."""
    return ipa.replace("^", "")


@functools.cache
def _rules(british):
    table = {**KOKORO, **(BRITISH if british else AMERICAN)}
    return table, re.compile("|".join(sorted(map(re.escape, table), key=len, reverse=True)))


def kokoro(ipa, british=False):
    """The same in Kokoro's letters."""
    table, pattern = _rules(british)
    return pattern.sub(lambda match: table[match[0]], ipa).replace("^", "")
