"""What the program says of screenshots that have truth files, scored: every figure the card has of real screens.

python3 -m pocket_vl.real --program target/release/qwglm --model DIR --stills DIR --scorer screens.py --sequence DIR --out OUT

Narrations of all stills, the truth files' own questions, lines read given their beginning, and the narration of a folder of
frames; all greedy, through the program. `OUT` keeps the answers; its `real.json` the figures. `--engine` is the program's.
"""

import argparse, concurrent.futures, glob, json, os, subprocess, sys

LINES = 4  # lines a picture that are asked for


def begun(truth, most=LINES):
    """(question, line) of lines that only one thing on the screen begins like; `visible_text` has a block an entry."""
    blocks = [b for b in truth["visible_text"] if "\n" not in b]
    out = []
    for block in blocks:
        words = block.split()
        start = " ".join(words[:2])
        if len(words) > 2 and len(block) <= 70 and '"' not in block and sum(b.startswith(start) for b in blocks) == 1:
            out.append((f'Read the line that begins with "{start}".', block))
    return out[:: max(1, len(out) // most)][:most]


def run(*command):
    """Standard output of the program. Errors: it failed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:3]))} failed: {done.stderr[-600:]}")
    return done.stdout


def ask(program, common, picture, questions):
    answers = run(program, "ask", *common, picture, *questions).rstrip("\n").split("\n")
    if len(answers) != len(questions):
        raise RuntimeError(f"{picture}: {len(answers)} answers to {len(questions)} questions")
    return answers


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", required=True)
    p.add_argument("--model", required=True)
    p.add_argument("--stills", required=True)
    p.add_argument("--sequence", action="append", default=[])
    p.add_argument("--scorer", required=True)
    p.add_argument("--engine", default="sim")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    common = ["--engine", a.engine, "--model", a.model]
    files = sorted(glob.glob(os.path.join(a.stills, "*.json")))
    truths = [json.load(open(f, encoding="utf-8")) for f in files]
    told, sequences = os.path.join(a.out, "narrations.tsv"), [os.path.join(a.out, f"{os.path.basename(s.rstrip('/'))}.jsonl") for s in a.sequence]
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        stills = pool.submit(run, a.program, "narrate", *common, "--tsv", told, *[f[:-5] + ".png" for f in files])
        frames = [pool.submit(run, a.program, "narrate", *common, "--jsonl", to, s) for s, to in zip(a.sequence, sequences)]
        asked = [[q["question"] for q in t["qa"]] + [q for q, _ in begun(t)] for t in truths]
        got = list(pool.map(lambda x: ask(a.program, common, x[0][:-5] + ".png", x[1]), zip(files, asked)))
        for f in [stills, *frames]:
            f.result()
    exact = []
    with open(os.path.join(a.out, "answers.tsv"), "w") as out, open(os.path.join(a.out, "lines.tsv"), "w") as lines:
        for t, answers in zip(truths, got):
            n = len(t["qa"])
            out.writelines(f"{t['id']}\t{i}\t{s}\n" for i, s in enumerate(answers[:n], 1))
            for (_, line), s in zip(begun(t), answers[n:]):
                exact.append(s.strip() == line.strip())
                lines.write(f"{t['id']}\t{line}\t{s}\n")
    score = lambda *x: json.loads(run(sys.executable, a.scorer, *x))
    result = dict(
        stills=score("stills", a.stills, told),
        questions=score("answers", a.stills, os.path.join(a.out, "answers.tsv")),
        lines=dict(n=len(exact), exact=round(sum(exact) / max(1, len(exact)), 3)),
    )
    for s, to in zip(a.sequence, sequences):
        result[os.path.basename(to)[:-6]] = score("sequence", os.path.join(s, "truth.json"), to, "--json")
    with open(os.path.join(a.out, "real.json"), "w") as out:
        json.dump(result, out, indent=1)
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
