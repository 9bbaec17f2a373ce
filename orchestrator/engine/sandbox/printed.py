"""What a script prints becomes log lines, within bounds."""

from collections.abc import Callable

MOST_LINES = 200
LONGEST_LINE = 16_000


class Printed:
    """A print callback that cuts the stream into lines and stops keeping them after `MOST_LINES`."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._rest = ""
        self._count = 0

    def __call__(self, stream: str, text: str) -> None:
        if self._count > MOST_LINES:
            return
        *lines, rest = (self._rest + text).split("\n")
        self._rest = rest[:LONGEST_LINE]
        for line in lines:
            self._write(line)

    def close(self) -> None:
        """Write what was printed without a line end."""
        if self._rest:
            self._write(self._rest)
        self._rest = ""

    def _write(self, line: str) -> None:
        self._count += 1
        if self._count <= MOST_LINES:
            self._log(line[:LONGEST_LINE])
        elif self._count == MOST_LINES + 1:
            self._log(f"(more than {MOST_LINES} lines were printed; the rest is dropped)")


def drop(stream: str, text: str) -> None:
    """Expressions print nowhere."""
