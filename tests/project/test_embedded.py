"""The embedded servers: start, stop, recover, and say what is in the way."""

import errno
import os
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import psutil
import psycopg
import pytest

from orchestrator.project.embedded.places import LONGEST_SOCKET_FOLDER, Places
from orchestrator.project.embedded.postgres import Postgres
from orchestrator.project.embedded.problem import CannotStart
from orchestrator.project.embedded.servers import Servers
from tests.project.up_process import ROOT, all_gone

HOLDER = """
import sys
from pathlib import Path
from orchestrator.project.embedded.servers import Servers
servers = Servers(Path(sys.argv[1]), valkey=False)
servers.start()
print(servers.postgres.child.pid, flush=True)
sys.stdin.read()
"""


def test_it_keeps_data_between_starts(folder: Path) -> None:
    with Servers(folder, valkey=False) as servers, psycopg.connect(servers.places.database_url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('yes')")
    with Servers(folder, valkey=False) as servers, psycopg.connect(servers.places.database_url) as connection:
        assert connection.execute("SELECT word FROM kept").fetchone() == ("yes",)


def test_it_is_open_to_its_own_user_only(folder: Path) -> None:
    with Servers(folder, valkey=False) as servers:
        assert servers.places.sockets.stat().st_mode & 0o077 == 0
        assert servers.places.postgres.stat().st_mode & 0o077 == 0
        with psycopg.connect(servers.places.database_url) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_it_recovers_after_its_owner_was_killed(folder: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        server = psutil.Process(int(holder.stdout.readline()))
        holder.kill()
        # At once, while the server may still be shutting down.
        servers = Servers(folder, valkey=False)
        servers.reserve(patience=5)
        with servers:
            assert all_gone([server], 0) == []
            psycopg.connect(servers.places.database_url).close()


def test_it_recovers_a_server_that_was_killed_itself(folder: Path) -> None:
    with Servers(folder, valkey=False) as servers:
        assert servers.postgres is not None
        assert servers.postgres.child is not None
        servers.postgres.child.send_signal(signal.SIGKILL)
        servers.postgres.child.wait(10)
        assert servers.dead() == [servers.postgres]
        servers.postgres.start()
        psycopg.connect(servers.places.database_url).close()


def test_it_starts_although_the_noted_process_id_is_somebody_elses(folder: Path) -> None:
    with Servers(folder, valkey=False):
        pass
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}\n1\n5432\n\n\n\nready\n")
    with Servers(folder, valkey=False) as servers:
        psycopg.connect(servers.places.database_url).close()


def test_it_holds_the_folder_alone(folder: Path) -> None:
    with Servers(folder, postgres=False, valkey=False), pytest.raises(CannotStart, match=f"process {os.getpid()}"):
        Servers(folder, postgres=False, valkey=False).start()
    Servers(folder, postgres=False, valkey=False).start()


def test_it_finds_a_place_for_sockets_of_a_long_path(folder: Path) -> None:
    long = folder / ("d" * 60) / ("e" * 60)
    places = Places(long)
    assert len(os.fsencode(places.sockets)) <= LONGEST_SOCKET_FOLDER
    assert places.sockets != Places(long / "other").sockets
    with Servers(long) as servers:
        psycopg.connect(servers.places.database_url).close()
    servers.places.sockets.rmdir()


def test_it_says_that_the_disk_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = namedtuple("space", "f_bavail f_frsize")
    monkeypatch.setattr(os, "statvfs", lambda _: space(1, 4096))
    with pytest.raises(CannotStart, match="is full") as caught:
        Servers(folder).start()
    assert caught.value.code == "disk_full"


def test_it_recognises_a_full_disk_in_what_the_system_and_the_server_say(folder: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    assert Servers(folder).explained(full).code == "disk_full"
    said = 'LOG: x\nFATAL:  could not write lock file "postmaster.pid": No space left on device\n'
    assert Postgres(Places(folder)).failure(said).code == "disk_full"
