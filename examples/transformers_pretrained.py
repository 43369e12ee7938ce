"""`from_pretrained` of a folder that is in memory, for this user alone, and gone at the end of the block.

python examples/transformers_pretrained.py acme/minilm@1 "the quick brown fox"
"""

import sys

import torch
from transformers import AutoModel, AutoTokenizer

import strongroom

room = strongroom.connect()
name = sys.argv[1] if len(sys.argv) > 1 else "acme/minilm@1"
sentence = sys.argv[2] if len(sys.argv) > 2 else "the quick brown fox"
with room.open_version(name, purpose="an example") as version, version.as_folder() as folder:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder)
with torch.no_grad():
    states = model(**tokenizer(sentence, return_tensors="pt")).last_hidden_state
embedding = torch.nn.functional.normalize(states.mean(dim=1))[0]
print(len(embedding), "numbers:", *(f"{value:.4f}" for value in embedding[:4]), "…")
