"""What a fresh workspace starts with."""
