"""Acts: everything the keep can be asked to do. One file for each, one table, and what leads there. Pure.

    envelope -> admit -> Said -> decide -> Permitted -> (the keep adds what only it has) -> entry -> fold

- `act`: what a row of the table is
- `table`: the rows
- `admit`: who said it, whether the signatures hold, whether it is its time
- `quorum`: whose approvals stand
- `slices`: what policy gets to see
- `decide`: may they?
- `fold`: the log, entry by entry, into the directory

The keep, every client and the offline verifier run this same code: what the keep decides, anybody can decide again.
"""
