"""One owner per data folder at a time, known by a lock that dies with its process."""

import fcntl
import os
import time
from pathlib import Path

from orchestrator.project.embedded.problem import CannotStart


class FolderLock:
    """An exclusive flock(2) on the data folder's lock file; the file holds the owner's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def take(self, patience: float = 0.0) -> None:
        """Take the lock within `patience` seconds or raise CannotStart `already_running` naming the owner.

        A process that was killed a moment ago holds its files until the kernel has cleared it away.
        """
        # Close-on-exec (Python's default), so no child keeps the lock after this process.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience
        while not locked(descriptor):
            if time.monotonic() >= deadline:
                owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(descriptor)
                raise CannotStart(
                    "already_running",
                    f"Another Branchline (process {owner}) is running on {self.path.parent}. "
                    "Stop it, or choose another folder with DATA=.",
                )
            time.sleep(0.02)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self.descriptor = descriptor

    def release(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
