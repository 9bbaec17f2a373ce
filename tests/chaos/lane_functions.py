"""What the items of a for-each call, in real worker processes: some kill the process that works on them."""

import os
import signal
from pathlib import Path

from orchestrator.steps import step
from tests.chaos.journal import FOLDER, tell, told


@step("lanes.act")
def act(item: int, deadly: int, times: int) -> int:
    """Write down that this item is done; the deadly one kills its worker as long as it was tried up to `times`."""
    tell(str(item))
    tried = told(Path(os.environ[FOLDER])).read_text().split().count(str(item))
    if item == deadly and tried <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return item
