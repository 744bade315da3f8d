"""The ledger's vocabulary that the venue's processes share.

Which accounts there are, and how the journal grows.

Postings are written set-based by whoever moves money (intake, swaps, settler, genesis); their rules
are constraints of ``venue/schema.sql``.
"""
