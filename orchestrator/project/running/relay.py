"""The logs of the children on one terminal: a short prefix each, safe characters, bounded lines."""

import sys
import threading
from collections.abc import Iterator
from typing import IO, TextIO

from orchestrator.project.logs import LONGEST_LINE, cut, escaped


class Relay(threading.Thread):
    """Copies one child's output line by line until it ends. A reader is always there, so no child ever blocks."""

    def __init__(self, prefix: str, source: IO[bytes], target: TextIO | None = None) -> None:
        super().__init__(name=f"relay-{prefix.strip()}", daemon=True)
        self.prefix = prefix
        self.source = source
        self.target = target or sys.stdout

    def run(self) -> None:
        with self.source:
            for line in bounded_lines(self.source):
                text = cut(escaped(line.decode(errors="replace").rstrip("\r\n")))
                if text:
                    write_line(f"{self.prefix} {text}", self.target)


def bounded_lines(source: IO[bytes]) -> Iterator[bytes]:
    # A line without an end must not fill the memory.
    return iter(lambda: source.readline(4 * LONGEST_LINE), b"")


def write_line(text: str, target: TextIO) -> None:
    """Write one line at once; a closed terminal stops nothing."""
    try:
        target.write(text + "\n")
        target.flush()
    except (OSError, ValueError):
        return
