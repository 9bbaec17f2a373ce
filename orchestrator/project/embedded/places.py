"""Where things lie inside one data folder. Pure paths: the settings read them before any server runs."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes with its NUL; PostgreSQL also writes `.s.PGSQL.5432.lock` beside the socket.
LONGEST_SOCKET_FOLDER = 85
DATABASE = "branchline"
ROLE = "branchline"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders and files of one data folder."""

    data: Path

    @property
    def postgres(self) -> Path:
        return self.data / "postgres"

    @property
    def logs(self) -> Path:
        return self.data / "log"

    @property
    def lock(self) -> Path:
        return self.data / "lock"

    @property
    def sockets(self) -> Path:
        """Inside the data folder, or in the temporary folder when that path is too long for a socket."""
        near = self.data / "run"
        if len(os.fsencode(near)) <= LONGEST_SOCKET_FOLDER:
            return near
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"branchline-{os.geteuid()}-{digest}"

    @property
    def valkey_socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def database_url(self) -> str:
        return f"postgresql://{ROLE}@/{DATABASE}?host={self.sockets}"

    @property
    def broker_url(self) -> str:
        return f"redis+socket://{self.valkey_socket}?virtual_host=0"
