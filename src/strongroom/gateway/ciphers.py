"""Ciphers: what servers and clients of ours speak beneath TLS 1.3."""

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and AEAD. All of TLS 1.3 are so."""
