"""The gateway: the HTTPS API in front of the keep. Untrusted: it carries statements, proofs and ciphertext, and no key.

Whatever a client believes of its answers is proven to the client (`client/deployment.py`); what the gateway decides by
itself is who may read metadata, from its own verified copy of the log (`fold`).
"""
