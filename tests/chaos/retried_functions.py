"""What items of a retried for-each call, in real worker processes: each fails at first; then some kill their worker."""

import os
import signal
import time
from pathlib import Path

from orchestrator.steps import step
from tests.chaos.journal import FOLDER, tell, told


@step("retried.act")
def act(item: int, deadly: bool) -> int:
    """Fail until the file `mended` is there. Then say when it begins and ends; a deadly one dies once in between."""
    folder = Path(os.environ[FOLDER])
    if not (folder / "mended").exists():
        raise ValueError("not mended yet")
    tell(f"begin {item}")
    if deadly and told(folder).read_text().splitlines().count(f"begin {item}") == 1:
        tell(f"died {item}")
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.03)  # its work
    tell(f"end {item}")
    return item
