"""Real PostgreSQL and Valkey servers out of Python wheels, for a machine that has none (DATABASE_URL, BROKER_URL unset)."""
