"""The ledger: which accounts a policy needs, and the journal of decisions.

Postings are written by the processes that move money (api, settler, genesis), set-based; their
rules are constraints of ``venue/schema.sql``.
"""
