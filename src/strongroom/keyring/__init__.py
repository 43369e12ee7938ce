"""Keyring: the root key, in memory only, and what rests sealed under it.

- `root`: the root key and everything that is derived from it, by label
- `shares`: the root key as custodians' shares, k of n (SLIP-39)
- `provider`: where a starting keep has its root key from: custodians, or in a trial a plain file
- `model_keys`: one key pair for each model, at rest
- `details`: names and reasons beside the log, at rest, each erasable by itself
"""
