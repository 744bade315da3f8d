"""What people decide about single withdrawals, as the database role `seawall_operator`."""
