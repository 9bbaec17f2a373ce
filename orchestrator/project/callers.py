"""Who asks by the short way: read at every request, or remembered where the deed acts only if all of it is still so."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from orchestrator.engine.prepared import Along, Seen
from orchestrator.policy import ROUTES, Action, may
from orchestrator.queries.actors import Bearer, token_digest
from orchestrator.rest import throttle
from orchestrator.rest.authentication import bearer_of
from orchestrator.services.tokens import is_use_noted

REMEMBERED: Final = 500  # callers of a workflow


class Memory(Enum):
    """What a request may make of what was read before."""

    NONE = auto()
    USE = auto()
    #: What was remembered was wrong.
    RENEW = auto()


class Callers:
    """Lets in whom the whole way would let in, counted against their ceiling. Thread-safe.

    What is remembered decides nothing by itself: the statement that acts reads it once more, and does nothing if it
    reads otherwise. A lost right, a revoked token, another live version count at once, with one round trip saved.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Bearer] = {}

    def admitted(
        self, name: str, value: str, parts: Mapping[str, str], along: Along, memory: Memory
    ) -> tuple[Bearer, Seen | None] | None:
        """The caller with a token of this `value` at the route `name`; Seen where they are remembered.

        None: the whole way is to say why not.
        """
        key = (name, token_digest(value), *parts.values())
        bearer = self._known.get(key) if memory is Memory.USE else None
        seen = None if bearer is None else bearer.seen
        if bearer is None:
            bearer = bearer_of(value, parts["workspace"], along, to_be_seen_again=memory is not Memory.NONE)
        if bearer is None or bearer.actor is None or not is_use_noted(bearer.token):
            self._known.pop(key, None)
            return None
        if memory is not Memory.NONE and seen is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = bearer
        need = ROUTES[name]["POST"]
        if not isinstance(need, Action) or not may(bearer.actor, need):
            return None
        return (bearer, seen) if throttle.admits(throttle.name_of(bearer), throttle.PER_CALLER) else None
