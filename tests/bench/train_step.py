#!/usr/bin/env python3
"""A GPT-2 training step (f32, fused AdamW, no clipping, random weights) by Weft and by PyTorch, taken in turns.

    scripts/bench-train [--network gpt2] [--batch 4] [--sequence 64] [--threads 2] [--rounds 9]

Each round times one step of each, in alternating order, after two rounds that do not count. Printed: median and spread
of both, the ratio per round, and the bound: the step's FLOPs at the rate of a plain GEMM in the same process.
"""
import argparse, json, os, statistics, subprocess, sys, time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--program", required=True, help="build/tests/bench/train_step")
parser.add_argument("--network", default="gpt2")
parser.add_argument("--layers", type=int, default=12)
parser.add_argument("--width", type=int, default=768)
parser.add_argument("--heads", type=int, default=12)
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--sequence", type=int, default=64)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--rounds", type=int, default=9)
parser.add_argument("--json", action="store_true")
options = parser.parse_args()

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(options.threads)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in self.qkv(self.norm1(x)).split(c, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, c)
        x = x + self.out(y)
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, layers, width, heads, vocabulary=50257, positions=1024):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.tokens.weight.t()
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


torch.manual_seed(1)
model = GPT2(options.layers, options.width, options.heads)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
ids = torch.randint(0, 50257, (options.batch, options.sequence))
targets = torch.randint(0, 50257, (options.batch, options.sequence))


def torch_step():
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = model(ids, targets)
    loss.backward()
    optimizer.step()
    return time.perf_counter() - start, loss.item()


weft = subprocess.Popen([options.program, options.network, str(options.batch), str(options.sequence), str(options.threads)],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                        env={"OMP_WAIT_POLICY": "passive", **os.environ})  # as the program weft does for itself
about = json.loads(weft.stdout.readline())


def ask(what):
    weft.stdin.write(what + "\n")
    weft.stdin.flush()
    answer = weft.stdout.readline().split()
    if not answer:
        sys.exit("train_step.py: weft's side ended")
    return [float(a) for a in answer]


peak = ask("peak")[0]
ours, theirs, losses = [], [], []
for r in range(options.rounds + 2):
    pair = [lambda: ours.append(ask("step")), lambda: theirs.append(torch_step())]
    for call in pair if r % 2 == 0 else reversed(pair):
        call()
peak = max(peak, ask("peak")[0])
weft.stdin.close()
weft.wait()
losses = ours[0][1], theirs[0][1]
ours, theirs = [s for s, _ in ours[2:]], [s for s, _ in theirs[2:]]
ratios = [b / a for a, b in zip(ours, theirs)]


def spread(values):
    return statistics.median(values), min(values), max(values)


bound = about["flops"] / peak
if options.json:
    print(json.dumps(dict(about=about, torch=torch.__version__, threads=options.threads, weft_s=ours, torch_s=theirs,
                          torch_over_weft=statistics.median(ratios), gemm_flops_per_s=peak, bound_s=bound)))
else:
    print(f"{about['network']}, batch {options.batch} x {options.sequence} tokens, f32, {options.threads} threads, {options.rounds} rounds")
    print(f"weft      {about['backend']}")
    print(f"pytorch   {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, fused AdamW")
    print(f"first loss: weft {losses[0]:.4f}, pytorch {losses[1]:.4f} (different random weights)")
    print(f"{'':10}{'median':>9}{'least':>9}{'most':>9}   seconds per step")
    for name, values in (("weft", ours), ("pytorch", theirs)):
        print("{:10}{:9.3f}{:9.3f}{:9.3f}".format(name, *spread(values)))
    print("ratio     {:9.3f}{:9.3f}{:9.3f}   pytorch / weft in the same round; above 1: weft is quicker".format(*spread(ratios)))
    print(f"bound     {bound:9.3f}                     {about['flops']/1e9:.0f} GFLOP at {peak/1e9:.0f} GFLOP/s, the best plain GEMM of this run")
