"""Ethereum for every program of the repository: keys and addresses, and JSON-RPC to a node.

- :mod:`seawall.ethereum.keys`: Keccak-256, addresses, signatures, signed messages; no I/O.
- :mod:`seawall.ethereum.answers`: what an endpoint said to a call, over all clients and providers;
  no I/O. :mod:`seawall.ethereum.values`: the checked values in results; no I/O.
- :mod:`seawall.ethereum.rpc`: one JSON-RPC client, asynchronous and synchronous, with one tree of
  errors, and the view of the chain: one endpoint, one finalized block.

Transactions are built in `venue/chain`, because only the venue sends any. The evidence reader
`seawall/evidence/chain.py` uses none of this, on purpose; its docstring says why.
"""
