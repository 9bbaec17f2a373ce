"""Which files a browser may keep for ever: those whose name changes with their content."""

HASHED_BY_VITE = r"/island/assets/.+-[\w-]{8}\.\w+$"
HASHED_BY_DJANGO = r"\.[0-9a-f]{12}\.\w+$"
IMMUTABLE = f"{HASHED_BY_VITE}|{HASHED_BY_DJANGO}"
