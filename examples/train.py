"""A training loop that writes sealed snapshots: in the background, the last two kept, none of them readable to it.

python examples/train.py acme/line --steps 300
"""

import argparse

import strongroom

options = argparse.ArgumentParser()
options.add_argument("model", nargs="?", default="acme/line")
options.add_argument("--steps", type=int, default=300)
given = options.parse_args()
room = strongroom.connect()

with strongroom.Snapshots(room, given.model, keep_last=2, every=100) as snapshots:
    try:
        import torch
    except ImportError:
        import numpy as np

        x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
        weights = {"weight": np.zeros((1, 1), np.float32), "bias": np.zeros(1, np.float32)}
        for step in range(1, given.steps + 1):
            error = x @ weights["weight"] + weights["bias"] - (3 * x + 1)
            weights["weight"] -= 0.1 * 2 * x.T @ error / len(x)
            weights["bias"] -= 0.1 * 2 * error.mean(axis=0)
            snapshots.save(step, weights)
    else:
        x = torch.linspace(-1, 1, 64)[:, None]
        line = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(line.parameters(), lr=0.1)
        for step in range(1, given.steps + 1):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(line(x), 3 * x + 1).backward()
            optimizer.step()
            snapshots.save(step, line.state_dict())
for snapshot in snapshots.kept:
    print("step", snapshot.step, "is", snapshot.version)
