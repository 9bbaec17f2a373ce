"""Real PostgreSQL and Valkey servers out of Python wheels, for when DATABASE_URL and BROKER_URL are unset."""
