"""Numbers as people read them."""

from datetime import datetime


def duration_words(seconds: float) -> str:
    """A length of time in its two largest units: "340 ms", "12.3 s", "4 min 10 s", "2 h 5 min", "3 d 4 h"."""
    seconds = max(seconds, 0.0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3_600:
        return _two(whole, 60, "min", 1, "s")
    if whole < 86_400:
        return _two(whole, 3_600, "h", 60, "min")
    return _two(whole, 86_400, "d", 3_600, "h")


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    count, rest = divmod(whole, large)
    return f"{count} {large_name} {rest // small} {small_name}" if rest >= small else f"{count} {large_name}"


def between(begun: datetime | None, ended: datetime | None) -> str:
    """The time between two moments in words; empty when one is missing."""
    return duration_words((ended - begun).total_seconds()) if begun and ended else ""


def size_words(count: int) -> str:
    """A number of bytes: "812 B", "14 kB", "2.1 MB"."""
    if count < 1_000:
        return f"{count} B"
    return f"{count / 1_000:.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"
