"""Trains pocket-vl: goes on from packed or dense weights, on screens that worker processes draw meanwhile.

python3 -m pocket_vl.train --assets assets --packs packs --init .. --out OUT --seconds 500 --compile
torchrun --nproc-per-node 2 -m pocket_vl.train ...          several GPUs of one host
python3 -m pocket_vl.train --device cpu --steps 3 --tiny    a dry run anywhere

What makes it fast: every batch holds pictures of one size and questions of one layout, so there is no padding in the ViT,
shapes are static, and forward and backward of each bucket are one CUDA graph; one picture carries a whole conversation;
Muon for the matrices, AdamW for the rest. Weights are saved every `--save-s` seconds, so a go that is cut off loses
a minute at most. `log.txt` holds loss and share of tokens right by bucket: every picture is new, so these are held-out.
"""

import argparse, json, os, sys, time

import numpy as np
import torch

from . import packs
from .batches import LAYOUT, MIXES, Batches, layout, planner, random_batch
from .model import PocketVL, compile_parts
from .optimiser import Optimiser
from .pack import load, save
from .render import face

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def train(a):
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ[
            "LOCAL_RANK"
        ]  # every process sees its GPU as number 0: one compile cache serves all
    t0 = a.started or time.time()
    os.makedirs(a.out, exist_ok=True)
    notes = open(os.path.join(a.out, "log.txt"), "a") if rank == 0 else None

    def say(*x, **k):
        if rank == 0:
            print(*x, **k)
            print(*x, file=notes, flush=True)

    cuda = a.device == "cuda"
    device = torch.device("cuda", 0) if cuda else torch.device("cpu")
    torch.manual_seed(a.seed)
    config = json.load(open(os.path.join(a.model, "config.json")))
    scale = 0.02 if a.tiny else a.scale
    face.load_assets(a.assets)
    shelf = packs.load_packs(a.packs)
    say({k: len(v) for k, v in shelf.of.items()} if shelf else "no packs", flush=True)
    if a.times:
        LAYOUT.update({k: (*LAYOUT[k][:2], ms) for k, ms in json.load(open(a.times)).items()})
    phases = [(float(x.split(":")[1]), x.split(":")[0]) for x in a.phases.split(",")]
    plan = planner(phases, a.seconds * 1000 * a.pace)
    say("phases end at steps", plan.bounds, flush=True)
    loader = iter(
        torch.utils.data.DataLoader(
            Batches(
                a.assets,
                a.packs,
                a.model,
                plan if not a.tiny else (lambda k: list(LAYOUT)[k % len(LAYOUT)]),
                a.seed * 100 + rank,
                scale,
            ),
            batch_size=None,
            num_workers=a.workers,
            prefetch_factor=a.prefetch if a.workers else None,
            pin_memory=cuda,
            multiprocessing_context="fork" if a.workers else None,
        )
    )
    if cuda:
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True
        if world > 1:
            torch.distributed.init_process_group("nccl", device_id=device)
    model = PocketVL(config)
    if a.init:
        load(model, a.init)
    if a.compile and not a.eager:
        compile_parts()
    say(
        f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {sum(p.numel() for p in model.model['visual'].parameters()) / 1e6:.2f} M of them see",
        flush=True,
    )
    model = model.to(device, torch.bfloat16 if cuda else torch.float32)
    opt = Optimiser(model, device)
    log = []

    def keep():
        for folder in filter(None, (a.out, a.keep)):
            save(model, folder)

    def forward_backward(b):
        opt.flat.zero_()
        loss, right = model.loss(*b["in"], b["H"], b["W"], b["tables"])
        loss.backward()
        b["loss"], b["right"] = loss.detach(), right

    # One pool for all graphs: nothing of a replay is needed after its loss is copied, so memory is that of the largest.
    pool = torch.cuda.graph_pool_handle() if cuda else None

    def prepare(bucket):
        """Static buffers, a warm-up on random data, and the capture of the bucket's graph."""
        _, _, W, H, n_img, _ = layout(bucket)
        tables = model.model["visual"].tables(H, W, device)
        tables["weight"] = tables["weight"].to(next(model.parameters()).dtype)
        b = dict(H=H, W=W, tables=tables, graph=None)
        b["in"] = random_batch(bucket, scale, device)
        if cuda:
            s = torch.cuda.Stream()
            s.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(s):
                try:
                    forward_backward(b)
                except Exception as e:  # slower, but it trains
                    if not a.compile:
                        raise
                    say("compiling failed, all goes on without:", repr(e)[:600], flush=True)
                    a.compile = False
                    compile_parts(False)
                    forward_backward(b)
                forward_backward(b)
            torch.cuda.current_stream().wait_stream(s)
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            b["graph"] = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(b["graph"], pool=pool, capture_error_mode="thread_local"):
                    forward_backward(b)
            except Exception as e:  # slower, but it trains
                print("no graph for", bucket, repr(e)[:300], flush=True)
                torch.cuda.synchronize()
                b["graph"] = None
        memory = f", {torch.cuda.memory_reserved() / 2**30:.1f} GiB" if cuda else ""
        say(f"{bucket} is ready after {time.time() - t0:.1f} s{memory}", flush=True)
        return b

    graphs = {bucket: prepare(bucket) for bucket in LAYOUT}  # always in this order: compiled code is found in the cache again
    opt.flat.zero_()
    step_graph, step, waited, stop, last_say, last_save = None, 0, 0.0, torch.zeros(1, device=device), 0, time.time()
    while True:
        w0 = time.time()
        bucket, *tensors = next(loader)
        waited += time.time() - w0
        b = graphs[bucket]
        for dst, src in zip(b["in"], tensors):
            dst.copy_(src, non_blocking=True)
        b["graph"].replay() if b.get("graph") else forward_backward(b)
        if world > 1:
            torch.distributed.all_reduce(opt.flat, op=torch.distributed.ReduceOp.AVG)
        x = min(1.0, (time.time() - t0) / a.seconds) if not a.steps else step / a.steps
        opt.lr.fill_(a.lr * min(1, (step + 1) / a.warmup) * (1 if x < a.flat else max(a.least, (1 - x) / (1 - a.flat + 1e-9))))
        if step_graph is None and cuda and step == 3:
            step_graph = torch.cuda.CUDAGraph()
            torch.cuda.synchronize()
            with torch.cuda.graph(step_graph, capture_error_mode="thread_local"):
                opt.step()
        step_graph.replay() if step_graph else opt.step()
        log.append((step, bucket, b["loss"].clone(), b["right"].clone(), round(time.time() - t0, 2)))
        step += 1
        if step % 50 == 0 or (not cuda):
            stop.fill_(float(x >= 1 or (a.steps and step >= a.steps)))
            if world > 1:
                torch.distributed.broadcast(stop, 0)  # all end at the same step
            done = bool(stop.item())
            if time.time() - last_say > 12 or done or not cuda:
                mean = {}
                for _, n, l, rt, _ in log[-400:]:
                    mean.setdefault(n, []).append((float(l), float(rt)))
                say(
                    f"{time.time() - t0:6.1f} s step {step} waited {waited:.1f} s lr {float(opt.lr):.3f} | "
                    + "  ".join(
                        f"{n} {np.mean([v[0] for v in vs]):.3f} {np.mean([v[1] for v in vs]):.3f}"
                        for n, vs in sorted(mean.items())
                    ),
                    flush=True,
                )
                last_say = time.time()
                if rank == 0 and time.time() - last_save > a.save_s:
                    keep()
                    last_save = time.time()
            if done:
                break
    if rank == 0:
        keep()
        with open(os.path.join(a.out, "loss.csv"), "w") as f:
            f.write("step,bucket,loss,right,seconds\n")
            f.writelines(f"{s},{n},{float(l):.4f},{float(r):.4f},{t}\n" for s, n, l, r, t in log)
        if cuda:  # what a step of each bucket costs: for LAYOUT's last column
            for n, b in graphs.items():
                if not b["graph"]:
                    continue
                torch.cuda.synchronize()
                w0 = time.time()
                for _ in range(4):
                    b["graph"].replay()
                torch.cuda.synchronize()
                b["ms"] = (time.time() - w0) * 250
            w0 = time.time()
            for _ in range(4):
                step_graph.replay()
            torch.cuda.synchronize()
            say(
                "ms a step:",
                {n: round(b.get("ms", 0), 1) for n, b in graphs.items()},
                "optimiser",
                round((time.time() - w0) * 250, 1),
                f"memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB",
                flush=True,
            )
        say(f"saved after {time.time() - t0:.0f} s, {step} steps", flush=True)
    sys.stdout.flush()
    os._exit(0)  # do not wait for the workers


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--assets", default="assets")
    p.add_argument("--packs", help="folder of packs of real pages")
    p.add_argument("--model", default=HERE, help="folder of config and tokenizer")
    p.add_argument("--out", default="out")
    p.add_argument("--keep", help="a second folder for the weights")
    p.add_argument("--init", help="folder with weights to go on from, packed or dense")
    p.add_argument("--device", default="cuda")
    p.add_argument("--seconds", type=float, default=540)
    p.add_argument("--steps", type=int, default=0)
    p.add_argument("--tiny", action="store_true")
    p.add_argument("--compile", action="store_true", help="compile the repeating parts: a minute at the start, faster after")
    p.add_argument("--eager", action="store_true", help="overrides --compile")
    p.add_argument("--workers", type=int, default=15)
    p.add_argument("--prefetch", type=int, default=4)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--scale", type=float, default=1.0)
    p.add_argument("--lr", type=float, default=0.5)
    p.add_argument("--warmup", type=int, default=200)
    p.add_argument("--flat", type=float, default=0.4, help="share of the time at full rate")
    p.add_argument("--least", type=float, default=0.02, help="share of the rate at the end")
    p.add_argument("--pace", type=float, default=0.8, help="share of the time that the GPU computes")
    p.add_argument("--save-s", type=float, default=60)
    p.add_argument("--times", help="JSON from bench: milliseconds of a step of each bucket")
    p.add_argument(
        "--phases",
        default="screens:1",
        help=f"mixes and their shares of the time, of {', '.join(MIXES)}; from nothing: lines:0.15,crops:0.25,screens:0.6",
    )
    p.add_argument("--started", type=float, default=0, help="the clock's start as a Unix time: start-up then counts")
    train(p.parse_args())


if __name__ == "__main__":
    main()
