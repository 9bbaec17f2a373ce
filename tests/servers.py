"""The embedded servers of one test session."""

import fcntl
import shutil
import tempfile
from functools import cache
from pathlib import Path

from orchestrator.project.embedded.servers import Servers

PREFIX = "branchline-test-"
# A test database is thrown away, so it need not survive a power cut; killed processes lose nothing without fsync.
OPTIONS = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "5s"}


@cache
def session_folder() -> Path:
    """A new data folder for this process; folders of sessions that were killed are removed first."""
    for folder in Path(tempfile.gettempdir()).glob(PREFIX + "*"):
        remove_if_abandoned(folder)
    return Path(tempfile.mkdtemp(prefix=PREFIX))


def remove_if_abandoned(folder: Path) -> None:
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        # Held by a running session, not ours to read, or so new that it has no lock yet.
        return


@cache
def servers() -> Servers:
    """The session's servers, started at the first call. PostgreSQL or Valkey given by the environment is not."""
    from django.conf import settings  # noqa: PLC0415 - this module is read before the settings are

    started = Servers(
        settings.DATA_DIR, postgres=settings.EMBEDDED_POSTGRES, valkey=settings.EMBEDDED_VALKEY, options=OPTIONS
    )
    started.start()
    return started


def stop_servers() -> None:
    """Stop what this session started and remove its folder."""
    if servers.cache_info().currsize:
        servers().stop()
    if session_folder.cache_info().currsize:
        shutil.rmtree(session_folder(), ignore_errors=True)
