"""Journal: where the log rests. One port (`port.py`), and the adapter for SQLite.

- `port`: what every journal can do
- `sqlite`: a journal in an SQLite database: the commit order and the start-up rule
- `database`: how that database is made and opened, trusting nothing in it
- `highwater`: the file outside the database that remembers what was signed last
- `reserve`: the part of the disk that is kept for closing down
"""
