"""The reference venue: the system under drill.

It is only as large as the drills need; it is correct about money, observable and breakable.

What enters: outputs of a stack, a policy, customers' requests. What leaves: payouts on chain, and
records that say why.

- `genesis`: creates the database of a new venue.
- `api`: customers' requests. `settler`: payouts of one network. `signer`: signatures of one region.
- `mode_controller`: writes the mode. `treasury`: top-ups and reconciliation.
- `chain`, `contracts`, `ledger`, `database`, `process`: libraries of these processes.
"""
