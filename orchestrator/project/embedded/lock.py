"""One owner per data folder at a time, known by a lock that dies with its process."""

import fcntl
import os
from pathlib import Path

from orchestrator.project.embedded.problem import CannotStart


class FolderLock:
    """An exclusive flock(2) on the data folder's lock file; the file holds the owner's process id."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def take(self) -> None:
        """Take the lock or raise CannotStart `already_running` naming the owner."""
        # Close-on-exec (Python's default), so no child keeps the lock after this process.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise CannotStart(
                "already_running",
                f"Another Branchline (process {owner}) is running on {self.path.parent}. "
                "Stop it, or choose another folder with DATA=.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self.descriptor = descriptor

    def release(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
