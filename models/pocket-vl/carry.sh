#!/usr/bin/env bash
# Gathers what the GPU machine needs beside the tree.
#   carry.sh build [MINUTES]   fonts, text and packs of real pages into .pv-build (Debian, chromium; MINUTES for each of 3 packs)
#   carry.sh N [WEIGHTS]       what go N takes along, into .pv (under 28 MiB); WEIGHTS: a folder of weights, if go N-1's are lost
set -euo pipefail
here=$(dirname "$(realpath "$0")"); root=$(realpath "$here/../.."); cd "$root"; build=.pv-build
export PYTHONPATH=$here
if [ "${1:?build, 1, 2 or 3}" = build ]; then
  seconds=$((${2:-8} * 60))
  [ -d $build/assets ] || bash "$here/prepare.sh" $build/assets
  [ -f $build/assets.tar.xz ] || tar cJf $build/assets.tar.xz -C $build assets
  make() { python3 -m pocket_vl.html.make --assets $build/assets --out "$build/$1.pack" --mib "$2" --seconds "$3" --seed "$4"; }
  make held 1.5 $((seconds / 8)) 900; make a 12 $((seconds / 2)) 1; make b 26 $seconds 2; make c 26 $seconds 3
  ls -la $build
  exit
fi
rm -rf .pv; mkdir -p .pv
case $1 in
  1) cp $build/assets.tar.xz $build/held.pack $build/a.pack .pv/ ;;
  2) cp $build/b.pack .pv/ ;;
  3) cp $build/c.pack .pv/ ;;
esac
if [ "${2:-}" ]; then  # a fresh machine: everything again, the weights at 8 bits
  mkdir -p .pv/weights; rm -f .pv/*.pack
  cp $build/assets.tar.xz $build/held.pack .pv/
  echo "q8 *" > .pv-build/q8.plan; cp "$here"/*.json .pv-build/
  python3 -m pocket_vl.pack "$2" .pv-build/q8.plan .pv/weights/model.safetensors || true
fi
du -sh .pv
