"""What a killed Branchline left behind in its PostgreSQL folder. Call it only while holding the folder's lock."""

import os
import select
import signal
from pathlib import Path

from orchestrator.project.embedded.problem import CannotStart

PATIENCE = 30.0  # seconds for a fast shutdown that the kernel already asked for


def end_orphan(folder: Path) -> None:
    """Wait for a server that is still shutting down, or remove the note of one that is gone.

    PostgreSQL itself refuses to start when the process id in `postmaster.pid` is alive, even when a reboot or
    a new container gave that id to some other program.
    """
    note = folder / "postmaster.pid"
    try:
        pid = int(note.read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        note.unlink(missing_ok=True)
        return
    if not serves(pid, folder):
        note.unlink(missing_ok=True)
        return
    for stop_signal, patience in ((signal.SIGINT, PATIENCE), (signal.SIGKILL, 5.0)):
        if ended(pid, stop_signal, patience):
            return
    raise CannotStart("postgres", f"A PostgreSQL server (process {pid}) holds {folder} and does not end.")


def serves(pid: int, folder: Path) -> bool:
    """Whether that process is a PostgreSQL server of this very folder (its working folder is its data folder)."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(folder) and Path(f"/proc/{pid}/comm").read_text().startswith(
            "postgres"
        )
    except OSError:
        return False


def ended(pid: int, stop_signal: signal.Signals, patience: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        os.kill(pid, stop_signal)
        return bool(select.select([descriptor], [], [], patience)[0])
    except ProcessLookupError:
        return True
    finally:
        os.close(descriptor)
