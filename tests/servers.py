"""The embedded servers of one test session."""

import os
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
    parent = Path(tempfile.gettempdir())
    for folder in parent.glob(PREFIX + "*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


@cache
def servers() -> Servers:
    """The session's servers, started at the first call. PostgreSQL or Valkey given by the environment is not."""
    # Not above: the settings read this module first, for the folder.
    from django.conf import settings

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


def child_environment() -> dict[str, str]:
    """Variables for a child process that must work on the present test database."""
    # Not above: the settings read this module first, for the folder.
    from django.conf import settings
    from django.db import connection

    test = connection.settings_dict
    port = f"&port={test['PORT']}" if test["PORT"] else ""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "orchestrator.project.settings",
        "DATABASE_URL": f"postgresql://{test['USER']}:{test['PASSWORD']}@/{test['NAME']}?host={test['HOST']}{port}",
        "BROKER_URL": settings.BROKER_URL,
        "REDIS_URL": settings.REDIS_URL,
        "BRANCHLINE_DATA": str(settings.DATA_DIR),
    }
