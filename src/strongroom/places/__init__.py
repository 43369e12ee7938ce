"""Places: folders and files on this machine that are nobody else's. Where keys and the journal rest.

- `private`: opening, making and checking them
"""
