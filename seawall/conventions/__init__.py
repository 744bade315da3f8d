"""Names that two programs must spell alike; a name that one folder uses lives in that folder."""
