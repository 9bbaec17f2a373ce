"""The embedded servers of one data folder, started and stopped together and in order."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.project.embedded.lock import FolderLock
from orchestrator.project.embedded.places import Places
from orchestrator.project.embedded.postgres import Postgres
from orchestrator.project.embedded.problem import CannotStart, disk_full
from orchestrator.project.embedded.valkey import Valkey

LEAST_FREE = 150_000_000  # bytes: a new database, its log and some breath


class Servers:
    """PostgreSQL and Valkey for one folder; either may be left out when the person brings their own.

    Must be started from the main thread (see `start_child`).
    """

    def __init__(
        self, folder: Path, *, postgres: bool = True, valkey: bool = True, options: Mapping[str, str] | None = None
    ) -> None:
        self.places = Places(folder.absolute())
        self.lock = FolderLock(self.places.lock)
        self.postgres = Postgres(self.places, options) if postgres else None
        self.valkey = Valkey(self.places) if valkey else None

    def reserve(self, patience: float = 0.0) -> None:
        """Take the folder for this process. Raises CannotStart: `already_running`, `disk_full`, `data_folder`.

        `patience`: seconds to wait for an owner that was killed just now.
        """
        with self.explaining():
            self.prepare()
            self.lock.take(patience)
            self.check_space()

    def start(self) -> None:
        """Reserve the folder and start what is wanted. Raises CannotStart; then nothing is left running."""
        if self.lock.descriptor is None:
            self.reserve()
        with self.explaining():
            for server in self.wanted():
                server.start()

    def wanted(self) -> list[Postgres | Valkey]:
        return [server for server in (self.postgres, self.valkey) if server is not None]

    def dead(self) -> list[Postgres | Valkey]:
        """The servers that were started and have ended by themselves."""
        return [server for server in self.wanted() if server.child is not None and server.child.poll() is not None]

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Whatever goes wrong inside stops everything; what the system says becomes one clear line."""
        try:
            yield
        except OSError as error:
            self.stop()
            raise self.explained(error) from error
        except BaseException:
            self.stop()
            raise

    def prepare(self) -> None:
        self.places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.places.logs.mkdir(mode=0o700, exist_ok=True)

    def check_space(self) -> None:
        space = os.statvfs(self.places.data)
        if space.f_bavail * space.f_frsize < LEAST_FREE:
            raise disk_full(self.places.data)

    def explained(self, error: OSError) -> CannotStart:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return disk_full(self.places.data)
        return CannotStart(
            "data_folder", f"The data folder {self.places.data} cannot be used: {error.strerror} ({error.filename})."
        )

    def stop(self) -> None:
        """Stop what runs, the database last, then free the folder."""
        for server in reversed(self.wanted()):
            server.stop()
        self.lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
