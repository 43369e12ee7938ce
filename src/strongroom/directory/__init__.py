"""Directory: who and what exists and what is in force. Pure: state and lookups; what changes it is in `acts`.

Nothing else is authority. The directory is made by folding the log and by nothing else, so that whoever holds the
log has the same directory, byte for byte.
"""
