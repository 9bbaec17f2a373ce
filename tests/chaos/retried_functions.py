"""What items of a retried for-each call, in real worker processes: each fails at first; then some kill their worker."""

import os
import signal
import time
from pathlib import Path

from orchestrator.steps import step

FOLDER = "BRANCHLINE_RETRIED_JOURNAL"


@step("retried.act")
def act(item: int, deadly: bool) -> int:
    """Fail until the file `mended` is there. Then say when it begins and ends; a deadly one dies once in between."""
    folder = Path(os.environ[FOLDER])
    if not (folder / "mended").exists():
        raise ValueError("not mended yet")
    tell(folder, f"begin {item}")
    if deadly and (folder / "journal").read_text().splitlines().count(f"begin {item}") == 1:
        tell(folder, f"died {item}")
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.03)  # its work
    tell(folder, f"end {item}")
    return item


def tell(folder: Path, line: str) -> None:
    journal = os.open(folder / "journal", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(journal, f"{line}\n".encode())
    os.close(journal)
