"""Copies of the ledger's database, from which it is restored when it is lost.

- `stream`: the write-ahead log, received as it is written; the server acknowledges no commit that
  the receiver has not on its own disk.
- `base`: base backups into the locked bucket of the stack.

``python -m venue.backups`` runs them; `venue.restore` makes a database of them again.
"""
