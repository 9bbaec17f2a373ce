"""What the items of a for-each call, in real worker processes: some kill the process that works on them."""

import os
import signal
from pathlib import Path

from orchestrator.steps import step

FOLDER = "BRANCHLINE_LANE_JOURNAL"


@step("lanes.act")
def act(item: int, deadly: int, times: int) -> int:
    """Write down that this item is done; the deadly one kills its worker as long as it was tried up to `times`."""
    folder = Path(os.environ[FOLDER])
    journal = os.open(folder / "journal", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.write(journal, f"{item}\n".encode())
    os.close(journal)
    tried = (folder / "journal").read_text().split().count(str(item))
    if item == deadly and tried <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return item
