"""SIGINT, SIGTERM and SIGHUP as something to wait for, beside the end of children."""

import os
import select
import signal
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Inside the block the first stop signal only sets `asked`; a second one ends the process at once.

    The children then follow by themselves (PR_SET_PDEATHSIG).
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self.readable, self.writable = os.pipe()
        os.set_blocking(self.writable, False)

    def __enter__(self) -> Self:
        self.before = {number: signal.signal(number, self.note) for number in (*STOP, signal.SIGCHLD)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def note(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            if self.asked is not None:
                os._exit(128 + number)
            self.asked = signal.Signals(number)
        try:
            os.write(self.writable, b".")
        except BlockingIOError:
            return

    def wait(self, seconds: float | None = None, others: Sequence[int] = ()) -> list[int]:
        """Return at the next signal (to stop, or a child's end), when one of the others is readable, or in time.

        Answers those of the others that are readable.
        """
        readable, _, _ = select.select([self.readable, *others], [], [], seconds)
        if self.readable in readable:
            os.read(self.readable, 4096)
        return [descriptor for descriptor in others if descriptor in readable]
