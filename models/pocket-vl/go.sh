#!/usr/bin/env bash
# One training on one GPU of a machine without network, in the background, from the tree's weights to packed ones:
#   bash models/pocket-vl/go.sh unpack [FOLDER]    lays what was carried (.pv/*/) into the work folder; once per carried folder
#   bash models/pocket-vl/go.sh check              seconds on the GPU: eager, compiled, CUDA graph, rounded, an answer
#   bash models/pocket-vl/go.sh start SECONDS      begins train -> qat -> evaluate, all within SECONDS
#   bash models/pocket-vl/go.sh wait SECONDS       shows the log for so long; the newest weights lie in $OUT/pv
#   bash models/pocket-vl/go.sh stop               ends the training now; the newest weights stay
# CUDA_VISIBLE_DEVICES picks the GPU. PV_WORK: work folder (/dev/shm/pv). PV_WORKERS (14), PV_QAT: seconds rounded (a fifth),
# PV_EVAL: seconds to evaluate (60), PV_TRAIN, PV_QAT_ARGS: more flags ("--eager" where compiling fails). Weights to go on from: those of
# the work folder if there are any (a second start), else .pv/weights, else the tree's. They are saved each minute.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); work=${PV_WORK:-/dev/shm/pv}
out=${OUT:-$work/sent}/pv; workers=${PV_WORKERS:-14}
mkdir -p "$work/packs" "$work/held" "$out"
export PYTHONPATH=$here PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export TORCHINDUCTOR_CACHE_DIR=$work/inductor TRITON_CACHE_DIR=$work/triton HF_HUB_OFFLINE=1
common=(--assets "$work/assets" --packs "$work/packs")
evaluate() { timeout $(($1 + 15)) python3 -m pocket_vl.evaluate --seconds $(($1 - 15)) --assets "$work/assets" --packs "$work/held" --model "$2" --n "$3" --out "$4"; }

send() { # what came of it so far: packed weights, dense ones in two files, scores, logs
  cp -f "$work"/dense/model*.safetensors "$work"/train.log "$work"/scores*.json "$out/" 2>/dev/null
  [ ! -f "$work/packed/model.safetensors" ] || cp -f "$work/packed/model.safetensors" "$out/packed.safetensors"
}

case ${1:-} in
unpack)
  for file in ${2:-.pv/*}/*; do
    case $file in
      *.tar.xz) tar -xJf "$file" -C "$work" ;;
      *held.pack) cp -f "$file" "$work/held/" ;;
      *.pack) cp -f "$file" "$work/packs/" ;;
      *.pack.*) cp -f "$file" "$work/" ;; # a piece: NAME.pack.1of2
    esac
  done
  for first in "$work"/*.pack.1of*; do
    [ -f "$first" ] || continue
    n=${first##*.1of}; name=${first%.1of*}; pieces=()
    for i in $(seq "$n"); do [ ! -f "$name.${i}of$n" ] || pieces+=("$name.${i}of$n"); done
    [ ${#pieces[@]} -lt "$n" ] || { cat "${pieces[@]}" > "$work/packs/$(basename "$name")"; rm "${pieces[@]}"; }
  done
  ls -la "$work" "$work/packs" "$work/held" | grep -v '^total\| \.\.\?$'; nproc; nvidia-smi -L 2>/dev/null
  python3 -c "import torch, numpy, PIL, tokenizers, safetensors; print('torch', torch.__version__, 'PIL', PIL.__version__)" ;;
check) # all once, small; what compiling leaves is found again by `start`
  python3 -m pocket_vl.train "${common[@]}" --init "$here" --out "$work/check" --workers 4 --compile --steps 12 --scale 0.2 --seconds 300 ${PV_TRAIN:-} | tail -n 6 &&
    python3 -m pocket_vl.qat "${common[@]}" --init "$work/check" --out "$work/check8" --workers 4 --steps 4 ${PV_QAT_ARGS:-} | tail -n 2 &&
    evaluate 40 "$work/check8" 16 "$work/check.json" | tail -n 20 ;;
start)
  echo "$(date +%s) ${2:?seconds}" > "$work/begun"
  setsid nohup bash "$here/go.sh" all "$2" > "$work/train.log" 2>&1 < /dev/null &
  echo $! > "$work/pid"; sleep 2; cat "$work/train.log" ;;
all) # what `start` runs in the background
  began=$(date +%s); qat=${PV_QAT:-$(($2 / 5))}; eval_s=${PV_EVAL:-60}; train=$(($2 - qat - eval_s))
  init=$here
  [ ! -f .pv/weights/model.safetensors ] || init=.pv/weights
  if ls "$work"/dense/model*.safetensors > /dev/null 2>&1; then rm -rf "$work/last"; cp -r "$work/dense" "$work/last"; init=$work/last; fi
  echo "training for $train s from $init, then $qat s rounded, $eval_s s to evaluate"
  python3 -m pocket_vl.train "${common[@]}" --init "$init" --out "$work/dense" --workers "$workers" --compile \
    --seconds "$train" --started "$began" ${PV_TRAIN:-} || echo "TRAINING FAILED: what follows is from the weights of its last minute"
  [ -f "$work/dense/model-00001-of-00002.safetensors" ] || mkdir -p "$work/dense"
  dense=$work/dense; ls "$dense"/model*.safetensors > /dev/null 2>&1 || dense=$init
  left=$(($2 - eval_s - $(date +%s) + began)); [ "$left" -gt 30 ] || left=30
  evaluate "$left" "$dense" 32 "$work/scores-dense.json" > "$work/dense-eval.log" 2>&1 &
  timeout $((left + 40)) python3 -m pocket_vl.qat "${common[@]}" --init "$dense" --out "$work/packed" --workers "$workers" --seconds "$left" ${PV_QAT_ARGS:-}
  evaluate "$eval_s" "$work/packed" "${PV_EVAL_N:-64}" "$work/scores.json"
  cat "$work/scores-dense.json" 2>/dev/null || tail -n 3 "$work/dense-eval.log"
  echo "go ended after $(($(date +%s) - began)) s" ;;
wait)
  until=$(($(date +%s) + ${2:-570})); n=0
  while [ "$(date +%s)" -lt "$until" ]; do
    sleep 10; n=$((n + 1)); tail -n 1 "$work/train.log" | cut -c1-420
    [ $((n % 6)) -ne 0 ] || send
    ! grep -q '^go ended' "$work/train.log" || { echo "it has ended"; tail -n 60 "$work/train.log" | cut -c1-300; break; }
    kill -0 "$(cat "$work/pid")" 2> /dev/null || { echo "it is gone without its last line"; tail -n 30 "$work/train.log"; break; }
  done
  send; nvidia-smi --query-gpu=index,utilization.gpu,memory.used --format=csv,noheader 2>/dev/null; ls -la "$out" ;;
stop) kill -TERM -- "-$(cat "$work/pid")"; send; ls -la "$out" ;;
*) sed -n 2,11p "$0"; exit 2 ;;
esac
