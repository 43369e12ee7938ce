"""Policy: may they? One function decides everything, in Cedar: default deny, any evaluation error a refusal.

    schema.py     what policies can see, and the actions, which come in as a table
    requests.py   the facts of one decision, as values, and what Cedar gets of them
    source.py     policy files, read with care
    claims.py     what the keep itself demands of a policy
    check.py      what else is wrong with a bundle; outside the trusted core
    bundle.py     a bundle that nothing is wrong with, beside the floor that no vote takes away
    decision.py   the decision itself
    authorize.py  the one door: a permission, or a refusal that says what would satisfy it
    explain.py    why, and with what it would be allowed; outside the trusted core

Pure: no clock, network or disk, but for the `.cedar` files of its own.
"""
