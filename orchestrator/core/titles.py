"""How messages name a step."""


def titled(key: str, name: str) -> str:
    """`"Its name" (key)`, or `"key"` where the name says no more than that."""
    says, known = (text.replace("_", " ").casefold() for text in (name, key))
    return f'"{name}" ({key})' if says not in {"", known} else f'"{key}"'
