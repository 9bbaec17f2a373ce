"""The closed set of ways in which a step handler can end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from orchestrator.core.document import DEFAULT_PORT
from orchestrator.core.json_types import Json, JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFault:
    """Why an attempt did not succeed: a code for machines, a sentence for people."""

    code: str
    message: str
    details: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """The step succeeded; control leaves by these ports."""

    output: Json = None
    ports: tuple[str, ...] = (DEFAULT_PORT,)


@dataclass(frozen=True, slots=True)
class Fail:
    """A permanent failure (a business error): never retried, follows the `error` port."""

    fault: StepFault
    output: Json = None


@dataclass(frozen=True, slots=True)
class Retry:
    """A passing failure: tried again within the step's retry policy. `after` (seconds) is the other side's wish."""

    fault: StepFault
    after: float | None = None


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The attempt, or the wait, took too long. `final` when trying again makes no sense (a due date passed)."""

    fault: StepFault
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskForm:
    """The human task that a `human_task` step opens, values already evaluated."""

    title: str
    text: str
    fields: tuple[JsonObject, ...]
    outcomes: tuple[JsonObject, ...]
    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    quorum: int = 1
    due: datetime | None = None
    allow_requester: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """The event that a step waits for: the first of this type, and of this key unless that is None, accepted `since`.

    `since` None: since the run at the top began. `is_first`: whichever comes first will do, so that nothing has to be
    looked at before the step ends with it.
    """

    type: str
    key: str | None
    since: datetime | None
    is_first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The step parks. It is resumed when `until` passes or when what it waits for arrives.

    `delay` (seconds from the commit, by the database clock) or `until` (aware time); `form` opens a human task,
    `awaited` is given for an event: `resume` then gets it as `signal["event"]`, and may wait for the next one by the
    same outcome. `memo` is given back to `resume`.
    """

    kind: Literal["time", "person", "event", "child"]
    text: str
    delay: float | None = None
    until: datetime | None = None
    form: TaskForm | None = None
    awaited: Awaited | None = None
    memo: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A container opens its body number `index` (from 1) and is resumed when all paths in it have ended.

    `lock`: only once no other open container of the run has the same one.
    """

    index: int
    text: str
    memo: Json = None
    lock: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A for-each opens its body once for each item, at most `parallel` at a time.

    `items` may be a reference (`core.item_outputs`). `tolerate` is the number of items that may fail; it is resumed
    when all items have ended, or one more has failed, or `enough` have succeeded.
    """

    items: Sequence[Json]
    parallel: int | None
    tolerate: int
    enough: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A sub-workflow starts a run of `workflow` (slug) with `input`; `version` None means the live one, from now on."""

    workflow: str
    version: int | None
    input: Json


@dataclass(frozen=True, slots=True)
class UndoInside:
    """A scope failed: what happened inside is undone, then the scope is resumed."""


@dataclass(frozen=True, slots=True)
class UndoChild:
    """The undo of a sub-workflow step: its run is undone, then this one is resumed."""


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Another step of the run has cancelled this one before it began: nothing is done, and its ways on are dead."""


Outcome = Done | Fail | Retry | TimedOut | Wait | Open | Items | Child | UndoInside | UndoChild | Unwanted
