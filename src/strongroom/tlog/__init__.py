"""Tlog: the transparency log's arithmetic and texts. Pure: no clock, disk, network or randomness of its own.

- `tree`: the RFC 6962 Merkle tree, append-only, and the proofs that it makes
- `proofs`: checking such proofs, trusting nothing but two roots
- `notes`: C2SP signed notes and verifier keys
- `checkpoints`: what a log signs: origin, size, root
- `cosignatures`: what witnesses, and the keep's clock, add to a checkpoint
- `tiles`: the tree and its entries as files
- `receipts`: `tlog-proof`, all that it takes to check one entry offline
- `text`: the numbers and base64 of all of these, each in its one form
"""
