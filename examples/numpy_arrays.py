"""Tensors as NumPy arrays: all of them, one, and a part of one that reads and decrypts only what it needs.

python examples/numpy_arrays.py acme/minilm@1
"""

import sys

import strongroom

room = strongroom.connect()
name = sys.argv[1] if len(sys.argv) > 1 else "acme/minilm@1"
with room.open_version(name, purpose="an example") as model:
    words = model.get_slice("embeddings.word_embeddings.weight")
    print("one row of", words.get_shape(), words.get_dtype(), words[2026].mean())
    print("one tensor", model.get_tensor("pooler.dense.bias").shape)
    weights = model.load_all()
    print("all:", len(weights), "tensors,", sum(array.nbytes for array in weights.values()), "bytes")
