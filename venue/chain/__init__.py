"""Transactions of the venue, and the deployment of its contracts."""
