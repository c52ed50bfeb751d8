#!/usr/bin/env bash
# Gathers what the GPU machine needs beside the tree.
#   carry.sh build [MINUTES]   fonts, text and packs of real pages into .pv-build (Debian, chromium; MINUTES for each of 4 packs)
#   carry.sh kit [WEIGHTS]     all of it into .pv/1, .pv/2 …, each of at most 20,000,000 bytes; WEIGHTS: a folder of weights that
#                              came back, to go on from (packed at 8 bits into .pv/weights)
set -euo pipefail
here=$(dirname "$(realpath "$0")"); root=$(realpath "$here/../.."); cd "$root"; build=.pv-build most=20000000
export PYTHONPATH=$here OMP_NUM_THREADS=1
case ${1:-} in
build)
  seconds=$((${2:-5} * 60))
  [ -d $build/assets ] || bash "$here/prepare.sh" $build/assets
  [ -f $build/assets.tar.xz ] || tar cJf $build/assets.tar.xz -C $build assets
  make() { python3 -m pocket_vl.html.make --assets $build/assets --out "$build/$1.pack" --mib "$2" --seconds "$3" --seed "$4"; }
  make held 1.5 $((seconds / 4)) 900; make a 7.9 $seconds 1; make b 18.6 $seconds 2; make c 18.6 $seconds 3; make d 18.6 $seconds 4
  ls -la $build ;;
kit)
  rm -rf .pv; n=1 size=0; mkdir -p .pv/1
  put() { # one file into the folder that has room, or the next
    local bytes; bytes=$(stat -c %s "$1")
    if [ $((size + bytes)) -gt $most ] && [ $size -gt 0 ]; then n=$((n + 1)) size=0; mkdir -p .pv/$n; fi
    ln "$1" ".pv/$n/$2" 2>/dev/null || cp "$1" ".pv/$n/$2"; size=$((size + bytes))
  }
  put $build/assets.tar.xz assets.tar.xz
  for pack in $(ls -S -r $build/*.pack); do
    name=$(basename "$pack") pieces=$((($(stat -c %s "$pack") + most - 1) / most))
    if [ $pieces = 1 ]; then put "$pack" "$name"; continue; fi
    split -n "$pieces" --numeric-suffixes=1 -a 1 "$pack" "$build/$name.part"
    for i in $(seq "$pieces"); do put "$build/$name.part$i" "$name.${i}of$pieces"; done
    rm "$build/$name.part"*
  done
  if [ "${2:-}" ]; then
    mkdir -p .pv/weights; echo "q8 *" > $build/q8.plan; cp "$here"/*.json $build/
    python3 -m pocket_vl.pack "$2" $build/q8.plan .pv/weights/model.safetensors || [ -f .pv/weights/model.safetensors ]
  fi
  du -sb .pv/* ;;
*) sed -n 2,5p "$0"; exit 2 ;;
esac
