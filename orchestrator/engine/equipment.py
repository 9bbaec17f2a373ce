"""What the parts of one worker process work with."""

import threading
from dataclasses import dataclass
from typing import Any

from orchestrator.engine.attempts import Attempts
from orchestrator.engine.committer import Committer
from orchestrator.engine.plans import Plans
from orchestrator.engine.slots import Slots


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """Each of it is thread-safe. Once `stopping` is set, the process begins no step any more."""

    pool: Any
    plans: Plans
    slots: Slots
    attempts: Attempts
    committer: Committer
    stopping: threading.Event
