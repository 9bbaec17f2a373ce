"""What a fresh workspace starts with: three documents, and the functions they call."""
