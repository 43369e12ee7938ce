"""Libraries that want a path get one, in memory: here `safetensors` itself. No plaintext touches a disk.

python examples/safetensors_files.py acme/minilm@1
"""

import sys

from safetensors import safe_open

import strongroom

room = strongroom.connect()
name = sys.argv[1] if len(sys.argv) > 1 else "acme/minilm@1"
with room.open_version(name, purpose="an example") as model, model.as_path("model.safetensors") as path:
    with safe_open(path, framework="np") as file:
        theirs = {key: file.get_tensor(key) for key in model}
    # And without the detour: an open version reads as `safe_open` does.
    ours = {key: model.get_tensor(key) for key in model}
print(len(theirs), "tensors, the same both ways:", all((theirs[key] == ours[key]).all() for key in theirs))
