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

REMEMBERED: Final = 500  # callers of a workflow; as many are foreseen
LONGEST_FORESEEN: Final = 20_000  # characters of a row


class Memory(Enum):
    """What a request may make of what was read before."""

    NONE = auto()
    USE = auto()
    #: What was remembered was wrong.
    RENEW = auto()
    #: What was read ahead for this one request, see `Callers.foresee`.
    FORESEEN = auto()


class Callers:
    """Lets in whom the whole way would let in, counted against their ceiling. Thread-safe.

    What is remembered decides nothing by itself: the statement that acts reads it once more, and does nothing if it
    reads otherwise. A lost right, a revoked token, another live version count at once, with one round trip saved.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Bearer] = {}
        self._foreseen: dict[tuple[object, ...], Bearer] = {}

    def admitted(
        self, name: str, value: str, parts: Mapping[str, str], along: Along, memory: Memory
    ) -> tuple[Bearer, Seen | None] | None:
        """The caller with a token of this `value` at the route `name`; Seen where they are remembered.

        None: the whole way is to say why not.
        """
        key = _key(name, value, parts)
        bearer = self._remembered(key, memory)
        seen = None if bearer is None else bearer.seen
        again = memory in (Memory.USE, Memory.RENEW)
        if bearer is None:
            bearer = bearer_of(value, parts["workspace"], along, to_be_seen_again=again)
        if bearer is None or bearer.actor is None or not is_use_noted(bearer.token):
            self._known.pop(key, None)
            return None
        if again and seen is None:
            _keep(self._known, key, bearer)
        need = ROUTES[name]["POST"]
        if not isinstance(need, Action) or not may(bearer.actor, need):
            return None
        return (bearer, seen) if throttle.admits(throttle.name_of(bearer), throttle.PER_CALLER) else None

    def foresee(self, name: str, value: str, parts: Mapping[str, str], along: Along) -> None:
        """Read what a request at the route `name` would rest on, which its caller is likely to make next."""
        bearer = bearer_of(value, parts["workspace"], along, to_be_seen_again=True)
        if bearer is not None and bearer.seen is not None and len(bearer.seen.row) <= LONGEST_FORESEEN:
            _keep(self._foreseen, _key(name, value, parts), bearer)

    def _remembered(self, key: tuple[object, ...], memory: Memory) -> Bearer | None:
        if memory is Memory.USE:
            return self._known.get(key)
        bearer = self._foreseen.pop(key, None) if memory is Memory.FORESEEN else None
        # Long ago its use was noted: by now it may have been noted again, or is to be.
        return bearer if bearer is not None and is_use_noted(bearer.token) else None


def _key(name: str, value: str, parts: Mapping[str, str]) -> tuple[object, ...]:
    return (name, token_digest(value), *parts.values())


def _keep(memory: dict[tuple[object, ...], Bearer], key: tuple[object, ...], bearer: Bearer) -> None:
    if len(memory) >= REMEMBERED:
        memory.clear()
    memory[key] = bearer
