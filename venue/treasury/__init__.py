"""The treasury: top-ups of hot wallets, reconciliation with the chain, gauges of the venue.

- `topups`: when a hot wallet is low, ask its reserve wallet for more; the settler carries it out.
- `cold`: when a reserve is low, have its cold wallet's custodian fill it; `custodian` asks it, and
  the carrier.
- `rebalancing`: what one network's reserve has too much goes to another's, while `watch` and
  `prices` see nothing that speaks against it. `arrivals`: what others have paid, by the chain.
- `sweeps`: when it holds more than its maximum, ask for the rest to go back.
- `reconcile`: compare the ledger with the chain. `surplus`: book money that came from outside.
- `settled`: what older entries of the ledger sum to, so that no turn reads them again.
- `metrics`: queue, hot balances, ledger sums. `loop`: run each of these at its interval.
"""
