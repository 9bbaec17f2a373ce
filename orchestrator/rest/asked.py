"""What a view's deed knows of a request that came the short way (orchestrator.project.direct)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.actor import Actor
from orchestrator.core.json_types import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request by an admitted actor. `along`: the columns that were read along with who asks."""

    actor: Actor
    parts: Mapping[str, str]
    #: In lower case.
    headers: Mapping[str, str]
    body: Json
    along: tuple[Any, ...]
