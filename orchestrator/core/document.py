"""The document `branchline/1` as frozen values, durations in seconds. `parse` makes them, `compile_plan` reads them."""

import math
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.shares import share
from orchestrator.core.titles import titled

FORMAT = "branchline/1"
DEFAULT_PORT = "out"
ERROR_PORT = "error"
TIMEOUT_PORT = "timeout"
FOR_EACH = "for_each"
REPEAT = "repeat"
SCOPE = "scope"
CANCEL = "cancel"
END = "end"
SUB_WORKFLOW = "sub_workflow"  #: the kind whose steps are another workflow's
FAILURE_PORTS = frozenset({ERROR_PORT, TIMEOUT_PORT})

MAX_STEPS = 2_000
MAX_EDGES = 5_000
MAX_BYTES = 1_000_000
MAX_CONCURRENCY = 100_000
MAX_PRIORITY = 100
MAX_NESTING = 8  #: containers in containers
MAX_ITEMS = 100_000  #: of one for-each; also the turns of one repeat
KEY_PATTERN = r"[a-z][a-z0-9_]{0,62}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a failed attempt is tried again. `attempts` counts the first one too."""

    attempts: int = 1
    first: float = 1.0
    factor: float = 2.0
    cap: float = 60.0
    jitter: Literal["full", "none"] = "full"
    budget: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerate:
    """How many failures do not count: a number, or a share of all in percent, rounded down."""

    count: int | None = None
    percent: float | None = None

    def of(self, size: int) -> int:
        """The number that is tolerated among `size`."""
        if self.count is not None:
            return self.count
        return 0 if self.percent is None else math.floor(share(size, self.percent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """How branches meet at a step with several incoming edges."""

    mode: Literal["all", "any", "quorum"] = "all"
    quorum: int | None = None
    deadline: float | None = None
    on_deadline: Literal["proceed", "fail"] = "fail"
    on_branch_failure: Literal["abort", "finish", "continue"] = "finish"
    tolerate: Tolerate | None = None
    late: Literal["ignore", "cancel"] = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """The counter-action of a step."""

    kind: str
    config: JsonObject
    #: It may run although nobody knows whether the step acted.
    tolerant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One box of the drawing."""

    key: str
    name: str
    kind: str
    config: JsonObject = field(default_factory=dict)
    at: tuple[float, float] = (0.0, 0.0)
    parent: str | None = None
    disabled: bool = False
    retry: Retry | None = None
    timeout: float | None = None
    queue: str = "default"
    undo: Undo | None = None
    join: Join | None = None
    note: str = ""

    @property
    def title(self) -> str:
        """How messages name the step, quotes included."""
        return titled(self.key, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One arrow, from a port of a step to a step."""

    source: str
    target: str
    port: str = DEFAULT_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A named group of steps with a declared pattern."""

    key: str
    pattern: Literal["sequence", "parallel", "event"]
    steps: tuple[str, ...]
    name: str = ""

    @property
    def title(self) -> str:
        """How messages name the region, quotes included."""
        return f'"{self.name or self.key}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark on the canvas; nothing runs it."""

    key: str
    text: str
    at: tuple[float, float] = (0.0, 0.0)
    size: tuple[float, float] = (200.0, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """How many runs may be open at once: in all, or for each value that `key` has over the run's input."""

    limit: int
    key: Json = None
    on_limit: Literal["queue", "replace", "refuse"] = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for a whole run."""

    deadline: float | None = None
    on_failure: Literal["fail", "undo"] = "fail"
    concurrency: Concurrency | None = None
    #: Runs with a higher one go first.
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole drawing, checked for form (not yet for sense: `find_problems` does that)."""

    name: str
    steps: tuple[Step, ...] = ()
    edges: tuple[Edge, ...] = ()
    input_schema: JsonObject = field(default_factory=dict)
    output: Json = None
    has_output: bool = False
    settings: Settings = field(default_factory=Settings)
    regions: tuple[Region, ...] = ()
    notes: tuple[Note, ...] = ()
