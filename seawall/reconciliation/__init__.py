"""Reconciliation on demand: what explains each base unit that a venue has paid, holds and owes.

In: a deployment file, the venue's own records (read once, at one instant) and the networks (read
from nodes of the kit's own, each at one final block). Out: totals, and every exception with what to
do about it. Nothing is kept between two runs.

- `facts`: one row of evidence each. `chain`: a network at one final block.
- `spool`: facts on disk, sorted and joined, so that memory does not grow with the venue.
- `contradictions`: everything that can be wrong, by name.
- `payouts`, `books`: the explanation, pure.
- `run`: gathers and explains. `views`: for people and for machines.
"""
