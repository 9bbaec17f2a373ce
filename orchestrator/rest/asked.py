"""What a view's deed knows of a request that came the short way (orchestrator.project.direct)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.actor import Actor
from orchestrator.core.json_types import Json
from orchestrator.engine.prepared import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request by an admitted actor. `along`: the columns that were read along with who asks."""

    actor: Actor
    parts: Mapping[str, str]
    #: In lower case.
    headers: Mapping[str, str]
    body: Json
    along: tuple[Any, ...]
    #: Given where all this was read for an earlier request: the deed acts only if it is still so, else it raises
    #: SeenOtherwise, and is asked again.
    seen: Seen | None = None
