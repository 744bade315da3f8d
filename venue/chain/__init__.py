"""The way to a chain: keys and addresses, transactions, JSON-RPC with a standby, deployment."""
