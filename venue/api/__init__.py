"""The customers' side of the venue: intake in durable batches, balances, quotes, swaps, status."""
