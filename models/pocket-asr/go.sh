#!/usr/bin/env bash
# One machine with a GPU, no network, 30 minutes: speaks the text with all voices and trains on it while it grows.
#   bash models/pocket-asr/go.sh unpack            lays what was carried (.asr/) into /dev/shm/asr; may be called several times
#   bash models/pocket-asr/go.sh speak [SECONDS]   begins to speak with the voices that need no GPU, in the background
#   bash models/pocket-asr/go.sh start [SECONDS]   begins to speak on the GPU and to train, in the background
#   bash models/pocket-asr/go.sh resume FILE AT [SECONDS]   the same from weights that came back, or the tree's, at 0..1 of the schedule
#   bash models/pocket-asr/go.sh wait SECONDS      shows the log for so long, with the newest weights in $OUT
#   bash models/pocket-asr/go.sh check             seconds on GPU and CPU: everything once, small
# ASR_GPU, ASR_SPEAK_GPU: which GPU trains and which speaks (0, 0). $OUT: where results are taken from. README.md has the schedule.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${ASR_WORK:-/dev/shm/asr}
kit=$work/kit
mkdir -p "$kit" "$work/shards" "$work/out"
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONDONTWRITEBYTECODE=1 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
export PATH=$work/debs/usr/bin:$PATH
libs=$work/debs/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH=$libs:$work/debs/lib/x86_64-linux-gnu:$libs/pulseaudio:${LD_LIBRARY_PATH:-}

send() { cp -f "$work"/out/model.safetensors "$work"/out/config.json "$work"/out/log.jsonl "$work"/*.log "$OUT"/ 2>/dev/null; }

case ${1:-} in
unpack)
  for part in "${ASR_KIT:-.asr}"/*; do
    case $part in
      *.deb) dpkg -x "$part" "$work/debs" ;;
      *.whl.tar) tar -xf "$part" -C "$kit" ;;
      *) cp -f "$part" "$kit/" ;;
    esac
  done
  known=$(ldconfig -p | awk '{print $1}')  # a library of the machine's own is never replaced
  for lib in "$libs"/*.so.* "$work"/debs/lib/x86_64-linux-gnu/*.so.*; do
    grep -qxF "$(basename "$lib")" <<< "$known" && rm -f "$lib"
  done
  # Programs look for their data under /usr.
  for folder in usr/share/festival usr/lib/festival etc/festival.scm usr/lib/x86_64-linux-gnu/espeak-ng-data; do
    [ -e "$work/debs/$folder" ] && [ ! -e "/$folder" ] && mkdir -p "/$(dirname "$folder")" && ln -s "$work/debs/$folder" "/$folder"
  done
  [ -d "$work/debs/etc/festival" ] && [ ! -e /etc/festival ] && ln -s "$work/debs/etc/festival" /etc/festival
  ls "$kit" | tr '\n' ' '; free -g | sed -n 2p; nproc; nvidia-smi --query-gpu=name,memory.total --format=csv,noheader 2>/dev/null ;;
check)
  cd "$here" && python3 bench.py --kit "$kit" --seconds "${2:-40}" 2>&1 | grep -vi --line-buffered warn | tee "$work/bench.log"; send ;;
speak)  # the voices that need no GPU
  cd "$here"
  OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 setsid nohup nice -n 10 python3 synthesise.py cpu --kit "$kit" --out "$work/shards" --hours "${ASR_CPU_HOURS:-110}" --seconds "${2:-900}" --workers 10 --pool 120 > "$work/cpu.log" 2>&1 < /dev/null &
  sleep 1; echo speaking ;;
start|resume)
  more=(); seconds=${2:-1320}
  if [ "$1" = resume ]; then more=(--resume "$2" --start-at "$3"); seconds=${4:-1320}; fi
  cd "$here"
  CUDA_VISIBLE_DEVICES=${ASR_SPEAK_GPU:-0} OMP_NUM_THREADS=2 setsid nohup python3 synthesise.py gpu --kit "$kit" --out "$work/shards" --hours "${ASR_HOURS:-80}" --seconds "${ASR_SPEAK:-600}" --workers "${ASR_SPEAKERS:-3}" > "$work/gpu.log" 2>&1 < /dev/null &
  CUDA_VISIBLE_DEVICES=${ASR_GPU:-0} OMP_NUM_THREADS=4 setsid nohup python3 train.py --shards "$work/shards" --kit "$kit" --out "$work/out" --seconds "$seconds" ${ASR_TRAIN:-} "${more[@]}" > "$work/train.log" 2>&1 < /dev/null &
  echo started ;;
wait)
  until=$(( $(date +%s) + ${2:-570} ))
  while [ "$(date +%s)" -lt "$until" ]; do
    sleep 10; send
    tail -qn 1 "$work/gpu.log" "$work/cpu.log" | cut -c1-150
    tail -n 1 "$work/train.log" | cut -c1-420
    pgrep -f "train.py --shards" > /dev/null || { echo "training has ended"; tail -n 5 "$work/train.log"; break; }
  done
  send; nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader 2>/dev/null; ls -la "$OUT" ;;
*) sed -n 2,11p "$0"; exit 2 ;;
esac
