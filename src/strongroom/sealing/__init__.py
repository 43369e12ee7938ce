"""Sealing: the sealed format. Bytes in, bytes out, any offset; no file, no clock, no randomness of its own.

- `floe`: random-access authenticated encryption (c2sp.org/FLOE)
- `key_texts`: keys as lines of text
- `keys`: data key, file keys, and wrapping to a public key (HPKE)
- `manifest`: what a version is made of, a public and a sealed part
- `paths`: which paths a version may hold
- `places`: under which names a version lies in a store
- `registration`: what a keep checks of a data key, without the manifest
- `tensors`: the tensor index of a safetensors file
"""
