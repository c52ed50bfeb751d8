"""Checks the forward pass against `transformers`, and times a step of every bucket.

python3 -m pocket_vl.check same --assets assets --init DIR         worst difference of the logits, picture and video
python3 -m pocket_vl.check bench --assets assets --out times.json  milliseconds of a step, on random data
"""

import argparse, json, os, random, time

import torch
import torch.nn.functional as F

from .batches import LAYOUT, layout, make_batch, random_batch
from .model import PocketVL, compile_parts
from .optimiser import Optimiser
from .pack import load
from .render import face

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def bench(a):
    """Time of a step of every bucket, on random data: LAYOUT's last column."""
    device = torch.device(a.device)
    config = json.load(open(os.path.join(a.model, "config.json")))
    model = PocketVL(config).to(device, torch.bfloat16)
    opt = Optimiser(model, device)
    if a.compile:
        compile_parts()
    t0 = time.time()
    out = {}

    def timed(run, n=5):
        torch.cuda.synchronize()
        w = time.time()
        for _ in range(n):
            run()
        torch.cuda.synchronize()
        return round((time.time() - w) * 1000 / n, 1)

    for bucket in LAYOUT:
        _, _, W, H, _, _ = layout(bucket)
        inputs = random_batch(bucket, a.scale, device)
        tables = model.model["visual"].tables(H, W, device)
        tables["weight"] = tables["weight"].bfloat16()

        def run():
            opt.flat.zero_()
            model.loss(*inputs, H, W, tables)[0].backward()

        s = torch.cuda.Stream()
        s.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(s):
            run()
            run()
        torch.cuda.current_stream().wait_stream(s)
        torch.cuda.synchronize()
        time.time()
        g = torch.cuda.CUDAGraph()
        with torch.cuda.graph(g, capture_error_mode="thread_local"):
            run()
        out[bucket] = timed(g.replay)
        print(bucket, out[bucket], "ms; after", round(time.time() - t0, 1), "s", flush=True)
        if a.steps and bucket in ("line", "hd"):
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as prof:
                g.replay()
                torch.cuda.synchronize()
            print(
                "\n".join(
                    l[:60] + l[-110:]
                    for l in prof.key_averages()
                    .table(sort_by="cuda_time_total", row_limit=22, max_name_column_width=60)
                    .split("\n")
                ),
                flush=True,
            )
        del g
    json.dump(out, open(a.out, "w")) if a.out.endswith(".json") else None
    opt.step()
    s = torch.cuda.CUDAGraph()
    with torch.cuda.graph(s):
        opt.step()
    print("optimiser", timed(s.replay), "ms", f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)


def check(a):
    """Forward pass against transformers, with random weights, on a picture batch and a video batch."""
    from transformers import AutoConfig, Qwen3VLForConditionalGeneration
    from tokenizers import Tokenizer

    config = json.load(open(os.path.join(a.model, "config.json")))
    model = PocketVL(config)
    if a.init:
        load(model, a.init)
    ref = Qwen3VLForConditionalGeneration(AutoConfig.from_pretrained(a.model)).float().eval()
    print(
        ref.load_state_dict(
            {**model.state_dict(), "lm_head.weight": model.model["language_model"].embed_tokens.weight}, strict=True
        )
    )
    face.load_assets(a.assets)
    r = random.Random(3)
    tok = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    for bucket in ("block", "video"):
        _, frames, tokens, labels, pos, img_pos = make_batch(r, tok, bucket, 0.01 if bucket == "block" else 0.03)
        _, _, W, H, n, video = layout(bucket)
        t = model.model["visual"].tables(H, W, "cpu")
        ours = F.linear(model(frames, tokens, pos, img_pos, H, W, t), model.model["language_model"].embed_tokens.weight)
        B = frames.shape[0]
        f = frames.permute(0, 1, 4, 2, 3).flatten(0, 1).float()
        if f.shape[-2:] != (H, W):
            f = F.interpolate(f, (H, W), mode="bicubic", antialias=True).clamp(0, 255).round()
        f = (f / 127.5 - 1).view(B, -1, 3, H, W)
        f = f if video else f.repeat(1, 2, 1, 1, 1)
        pv = f.view(B, 2, 3, H // 32, 2, 16, W // 32, 2, 16).permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(-1, 1536)
        grid = torch.tensor([[1, H // 16, W // 16]] * B)
        kind = torch.zeros_like(tokens, dtype=torch.int32)
        kind[:, img_pos] = 2 if video else 1
        kw = dict(pixel_values_videos=pv, video_grid_thw=grid) if video else dict(pixel_values=pv, image_grid_thw=grid)
        with torch.no_grad():
            theirs = ref(input_ids=tokens, mm_token_type_ids=kind, **kw).logits
        print(bucket, "worst difference", float((ours - theirs).abs().max()), "of", float(theirs.abs().max()))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("verb", choices=["same", "bench"])
    p.add_argument("--assets", default="assets")
    p.add_argument("--model", default=HERE)
    p.add_argument("--init")
    p.add_argument("--out", default="")
    p.add_argument("--device", default="cuda")
    p.add_argument("--steps", type=int, default=0)
    p.add_argument("--scale", type=float, default=1.0)
    p.add_argument("--compile", action="store_true")
    a = p.parse_args()
    (check if a.verb == "same" else bench)(a)


if __name__ == "__main__":
    main()
