"""A module of PyTorch whose weights come straight from a sealed version, decrypted into the tensors' own memory.

python examples/pytorch.py acme/minilm@1
"""

import sys

import torch

import strongroom

room = strongroom.connect()
name = sys.argv[1] if len(sys.argv) > 1 else "acme/minilm@1"
device = "cuda" if torch.cuda.is_available() else "cpu"
with room.open_version(name, framework="pt", device=device, purpose="an example") as model:
    width = model.get_slice("pooler.dense.weight").get_shape()[0]
    pooler = torch.nn.Linear(width, width)
    pooler.load_state_dict({part: model.get_tensor(f"pooler.dense.{part}") for part in ("weight", "bias")})
    state = model.load_all()
print("pooled:", tuple(torch.tanh(pooler.to(device)(torch.ones(1, width, device=device))).shape))
print("all:", len(state), "tensors on", next(iter(state.values())).device)
