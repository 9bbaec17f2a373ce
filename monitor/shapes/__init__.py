"""The shapes of the monitor's API: what bodies and query parameters hold, and the schema of the answers."""
