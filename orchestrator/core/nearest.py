"""The name that somebody probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache


def nearest(name: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Up to `count` known names that look like `name`, the most similar first."""
    return list(_nearest(name[:64], tuple(known), count))


@lru_cache(maxsize=1_024)
def _nearest(name: str, known: tuple[str, ...], count: int) -> tuple[str, ...]:
    # Names of a wholly different length cannot be close; leaving them out keeps 2,000 names affordable.
    likely = [option for option in known if abs(len(option) - len(name)) <= max(2, len(name) // 3)]
    return tuple(get_close_matches(name, likely, n=count, cutoff=0.6))


def did_you_mean(found: list[str]) -> str:
    """A sentence that offers the names, or nothing."""
    names = " or ".join(f'"{name}"' for name in found)
    return f" Did you mean {names}?" if found else ""
