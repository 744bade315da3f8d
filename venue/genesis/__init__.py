"""Genesis: create a venue in an empty database: roles, schema, lanes, customers, opening ledger."""
