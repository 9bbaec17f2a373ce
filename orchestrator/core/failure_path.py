"""Where a failure came from, through containers and sub-workflows: the way there once, and one cause."""

from collections.abc import Mapping, Sequence

from orchestrator.core.json_types import Json

PATH = "failed_in"  #: in a fault's details: the way from the outermost place to the innermost
LONGEST_CYCLE = 16  # places that come again and again, where workflows start one another


def from_outside(message: str, path: Sequence[str], place: str) -> str:
    """What a failure says that has come by this way, told one place further out; its cause stays whole.

    Args: `place` as it stands in the middle of a sentence.
    """
    return _said((place, *path)) + message.removeprefix(_said(path))


def path_of(details: Mapping[str, Json]) -> tuple[str, ...]:
    """The way that a fault has come so far."""
    path = details.get(PATH)
    return tuple(str(place) for place in path) if isinstance(path, list | tuple) else ()


def without_path(details: Mapping[str, Json]) -> dict[str, Json]:
    """The details for a fault that tells all of the way as its own cause."""
    return {name: value for name, value in details.items() if name != PATH}


def _said(path: Sequence[str]) -> str:
    if not path:
        return ""
    words = " > ".join(_shortened(path))
    return f"{words[0].upper()}{words[1:]} failed: "


def _shortened(path: Sequence[str]) -> list[str]:
    """Places that come again and again are told once."""
    told: list[str] = []
    at = 0
    while at < len(path):
        length, times = _cycle(path[at:])
        told += path[at : at + length]
        if times > 1:
            told[-1] += f" ({times} times, one in the other)"
        at += length * times
    return told


def _cycle(path: Sequence[str]) -> tuple[int, int]:
    """How long the shortest cycle at the beginning is, and how often it is gone through."""
    for length in range(1, min(LONGEST_CYCLE, len(path) // 2) + 1):
        times = 1
        while path[times * length : (times + 1) * length] == path[:length]:
            times += 1
        if times > 1:
            return length, times
    return 1, 1
