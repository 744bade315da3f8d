"""A lost ledger is restored: first the database, then what the chains know more than it.

- `cluster`: a new database cluster from the newest base backup and the stream of the log.
- `catch_up`: what lanes did after the last byte of the log is written from the chains; a new
  generation of the ledger begins, and only then may settlers claim.

``python -m venue.restore`` runs them, each by itself: nothing here starts or stops anything else.

Where the database comes from is a port, and its shape is a database URL: `catch_up` takes any
server that holds the ledger as of some moment and that nobody uses yet. A cluster of the stream is
one, a managed point-in-time restore is another (docs/runbooks/recovery-steps.md).
"""
