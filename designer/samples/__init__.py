"""What a fresh workspace starts with: five documents, and the functions that they call."""
