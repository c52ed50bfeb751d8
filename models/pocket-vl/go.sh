#!/usr/bin/env bash
# One go of training on the GPU machine, at most ten minutes: bash models/pocket-vl/go.sh N   (N = 1, 2, 3)
# It runs in the repository's root with .pv carried (carry.sh N makes it); results lie in $OUT.
#   1  480 s  from the packed weights of the tree, full rate, then down to a fifth
#   2  440 s  from go 1, down to a twentieth
#   3  150 s  to nothing, then 220 s rounded as pack.plan says, then packed: $OUT/packed/model.safetensors
# Where the last go's weights are gone (a fresh machine), .pv/weights or the tree's own serve. SECONDS_SCALE=0.1 shortens all.
set -uo pipefail
n=${1:?which go: 1, 2 or 3}; here=$(dirname "$(realpath "$0")"); pv=${PV:-${TMPDIR:-/tmp}/pv}; out=${OUT:-out}
mkdir -p "$pv/packs" "$pv/held" "$out"
[ ! -f .pv/assets.tar.xz ] || tar xJf .pv/assets.tar.xz -C "$pv"
for f in .pv/*.pack; do
  case $f in *held.pack) cp "$f" "$pv/held/" ;; *.pack) [ ! -f "$f" ] || cp "$f" "$pv/packs/" ;; esac
done
export PYTHONPATH=$here PYTHONUNBUFFERED=1 TORCHINDUCTOR_CACHE_DIR=$pv/inductor TRITON_CACHE_DIR=$pv/triton OMP_NUM_THREADS=1
scaled() { python3 -c "print(int($1 * ${SECONDS_SCALE:-1}))"; }
init=$here
[ ! -f .pv/weights/model.safetensors ] || init=.pv/weights
[ ! -f "$pv/last/model.safetensors.index.json" ] || init=$pv/last
ls -la "$pv/packs" "$pv/held"; echo "go $n from $init"; nvidia-smi -L || true
common="--assets $pv/assets --packs $pv/packs --init $init --out $out --keep $pv/last --workers ${WORKERS:-15} ${EXTRA:---compile} --started $(date +%s)"
case $n in
  1) python3 -m pocket_vl.train $common --seconds "$(scaled 480)" --lr 0.5 --flat 0.5 --least 0.2 --seed 11 ;;
  2) python3 -m pocket_vl.train $common --seconds "$(scaled 440)" --lr 0.4 --flat 0.3 --least 0.05 --seed 12 ;;
  3) python3 -m pocket_vl.train $common --seconds "$(scaled 130)" --lr 0.15 --flat 0.05 --least 0.02 --seed 13
     timeout "$(($(scaled 200) + 40))" python3 -m pocket_vl.qat --assets "$pv/assets" --packs "$pv/packs" --init "$pv/last" --out "$out/packed" \
       --seconds "$(scaled 200)" --workers "${WORKERS:-15}" ${QAT_EXTRA:-} ;;
  *) echo "no go $n" >&2; exit 2 ;;
esac
code=$?
weights=$out some=16; [ "$n" != 3 ] || { weights=$out/packed some=32; }
[ "${SKIP_EVAL:-}" ] || timeout 60 python3 -m pocket_vl.evaluate --model "$weights" --assets "$pv/assets" --packs "$pv/held" --n $some --out "$out/scores.json"
ls -la "$out"; exit $code
