"""A fixed number of slot threads. A slot whose handler overstays is given up: another thread takes its place."""

import queue
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)
Work = Callable[[], None]
QUICK = 0.002  # seconds: work that usually takes less may queue, because it will not queue for long
QUEUED = 3  # pieces of quick work per slot that may wait for one
#: Slots start up to so many calls deep, each a call deeper than the one before. Where the stacks of all threads lie
#: alike, a function whose code has the same place in its page as what the interpreter writes to the stack is up to
#: 15 % slower in every one of them (docs/performance.md).
STAGGER = 8


@dataclass(frozen=True, slots=True)
class _Piece:
    work: Work
    withdrawn: Work | None


class Slots:
    """Runs work on `size` threads. `freed` is called when a slot has nothing to do, or when too little is queued;
    `crowded` when work begins to wait for a slot.
    """

    def __init__(self, size: int, freed: Callable[[], None], crowded: Callable[[], None] = lambda: None) -> None:
        self._pieces: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._freed = freed
        self._crowded = crowded
        self._lock = threading.Lock()
        self._given_up: set[int] = set()
        self._load = 0
        self._begun = self._begun_before = 0
        self._started = 0
        self._usual = QUICK  # seconds that a piece took of late; not quick before it has shown to be
        self.size = size
        for _ in range(size):
            self._start()

    @property
    def room(self) -> int:
        """How many pieces of work are welcome: what would start at once, and quick work ahead of that."""
        load = self._load
        if self._usual >= QUICK:
            return max(0, self.size - load)
        # In large helpings: whoever fetches them one by one is busy with nothing else.
        return (QUEUED + 1) * self.size - load if load <= 2 * self.size else 0

    def submit(self, work: Work, withdrawn: Work | None = None) -> None:
        """Run `work` on the next free slot; or `withdrawn`, if `withdraw` comes first."""
        with self._lock:
            self._load += 1
            is_first_to_wait = self._load == self.size + 1
        self._pieces.put(_Piece(work, withdrawn))
        if is_first_to_wait:
            self._crowded()

    @property
    def is_crowded(self) -> bool:
        """Whether work waits for a slot."""
        return self._load > self.size

    def is_jammed(self) -> bool:
        """Whether what is queued should rather be done elsewhere. To be asked from time to time, by one thread."""
        stands, self._begun_before = self._begun == self._begun_before, self._begun
        return self.is_crowded and (stands or self._usual >= QUICK)

    def withdraw(self) -> int:
        """Take back what has not begun, and say how much that was. Work that cannot be taken back stays."""
        pieces: list[_Piece | None] = []
        try:
            while True:
                pieces.append(self._pieces.get_nowait())
        except queue.Empty:
            pass
        taken = [piece.withdrawn for piece in pieces if piece is not None and piece.withdrawn is not None]
        for piece in pieces:
            if piece is None or piece.withdrawn is None:
                self._pieces.put(piece)
        with self._lock:
            self._load -= len(taken)
            self._usual = QUICK
        for withdrawn in taken:
            withdrawn()
        return len(taken)

    def give_up(self, thread_id: int) -> None:
        """The work on that thread overstays: count its slot as free and start another thread."""
        with self._lock:
            self._given_up.add(thread_id)
            self._load -= 1
        self._start()
        self._freed()

    def stop(self) -> None:
        """Let every thread end after its present work."""
        for _ in range(self.size):
            self._pieces.put(None)

    def _start(self) -> None:
        self._started += 1
        arguments = (self._started % STAGGER, self._run)
        threading.Thread(target=_deeper, args=arguments, name="slot", daemon=True).start()

    def _run(self) -> None:
        mine = threading.get_ident()
        while (piece := self._pieces.get()) is not None:
            began = time.monotonic()
            self._begun += 1  # a lost count between threads harms nobody
            try:
                # What the work sets for its log lines and traces ends with it.
                copy_context().run(piece.work)
            except Exception:
                log.exception("a slot failed outside its handler")
            took = time.monotonic() - began
            with self._lock:
                if mine in self._given_up:
                    self._given_up.discard(mine)
                    return
                self._load -= 1
                # One very slow piece says no more than four of them that are just not quick.
                self._usual += (min(took, 4 * QUICK) - self._usual) / 8
            if self.room:
                self._freed()


def _deeper(levels: int, run: Callable[[], None]) -> None:
    """Call `run` under so many C frames more: calls from Python to Python alone take none."""
    if levels:
        list(map(_deeper, (levels - 1,), (run,)))
    else:
        run()
