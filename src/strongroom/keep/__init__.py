"""Keep: the trusted process, the only one that holds keys. It opens no network socket: a Unix socket is its door.

- `hardening`: what it does to its own process before it holds a key
- `server`: its socket: one thread, all requests that wait as one batch
"""
