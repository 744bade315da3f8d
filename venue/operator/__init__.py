"""What people decide and order, as the database role `seawall_operator`."""
