"""What handlers and workers say of themselves, apart from PostgreSQL: one file for each process, one write for a line.

A line is `event nanoseconds key attempt`. The clock is the machine's monotonic one, the same in all processes; `key` is
the idempotency key. A written line outlives kill -9 (the kernel has it); only the machine's own end could lose it.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = "BRANCHLINE_CHAOS_JOURNAL"
FILES = "*.journal"
CALLED, ACTED, ACKNOWLEDGED = "called", "acted", "acknowledged"


@cache
def _file(pid: int) -> int:
    return os.open(Path(os.environ[FOLDER]) / f"{pid}.journal", os.O_CREAT | os.O_APPEND | os.O_WRONLY)


def write(event: str, key: str, attempt: int) -> None:
    """Add a line."""
    os.write(_file(os.getpid()), f"{event} {time.monotonic_ns()} {key} {attempt}\n".encode())


def tell(line: str) -> None:
    """Add a line to the one file of all processes, where it counts what they did together."""
    file = os.open(told(Path(os.environ[FOLDER])), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def told(folder: Path) -> Path:
    """That file."""
    return folder / "journal"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A step run, or the undo of one, as its idempotency key names it."""

    run: str
    node: int
    scope_id: int
    generation: int

    @classmethod
    def of(cls, key: str) -> "Place":
        """Read an idempotency key."""
        run, node, scope_id, generation = key.removeprefix("undo:").split(":")
        shown = -1 - int(node) if key.startswith("undo:") else int(node)
        return cls(run, shown, int(scope_id), int(generation))


#: attempt -> nanoseconds of each time
Times = dict[int, list[int]]


def _times() -> dict[Place, Times]:
    return defaultdict(lambda: defaultdict(list))


@dataclass
class Evidence:
    """All journals of a round."""

    called: dict[Place, Times] = field(default_factory=_times)
    acted: dict[Place, Times] = field(default_factory=_times)
    acknowledged: dict[Place, Times] = field(default_factory=_times)

    @property
    def calls(self) -> int:
        return sum(len(times) for attempts in self.called.values() for times in attempts.values())

    @property
    def cut_off(self) -> int:
        """Calls of handlers that never came to their end."""
        return self.calls - sum(len(times) for attempts in self.acted.values() for times in attempts.values())


def read(folder: Path) -> Evidence:
    """What all processes have written. A line that a kill cut short is no line."""
    found = Evidence()
    for event, nanoseconds, key, attempt in _lines(folder):
        getattr(found, event)[Place.of(key)][int(attempt)].append(int(nanoseconds))
    return found


def _lines(folder: Path) -> Iterator[list[str]]:
    for path in folder.glob(FILES):
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield line.split()
