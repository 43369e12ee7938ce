"""Verify: checks a copy of a log offline, and trusts nothing but the deployment's name.

- `copy`: the folder that holds the copy
- `log`: the whole log, in the order of a numbered list
- `recheck`: one entry, decided again
- `report`: what a log that holds says
- `__main__`: the command `strongroom-verify`

It runs the same acts as the keep does. A keep whose keys are all in wrong hands can withhold, and it can lie about what
only it saw; what others are to have said, and what follows from that, it cannot make up.
"""
