"""Random drawings whose steps do what their config says, and what must happen in them, by a second, simple reading."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from pydantic import BaseModel

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, FAILURE_PORTS
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import ConfigProblem, Effects, Kinds
from orchestrator.core.outcome import Done, Fail, Outcome, Retry, StepFault


class ActedConfig(BaseModel):
    """What the step will do: succeed by these ports, or fail. `flaky` attempts fail in a passing way before that."""

    ports: list[str] = [DEFAULT_PORT]
    drawn: list[str] = [DEFAULT_PORT]
    fails: bool = False
    flaky: int = 0


class Acted:
    """A step kind that follows its script."""

    kind = "acted"
    group = "do"
    name = "Acted"
    description = "Does what its config says."
    icon = "dot"
    effects = "none"
    ports_from = None
    timeout_from = None
    inside = None
    field_roots: ClassVar[dict[str, tuple[str, ...]]] = {}
    reads = ()
    resumes_alike = False
    lazy = ()
    default_timeout = 30.0

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return (*config.get("drawn", [DEFAULT_PORT]), ERROR_PORT)  # type: ignore[misc]

    def effects_of(self, config: JsonObject) -> Effects:
        return "none"

    def is_async(self, config: JsonObject) -> bool:
        return False

    def check(self, config: JsonObject) -> list[ConfigProblem]:
        return []

    def schema(self) -> JsonObject:
        return ActedConfig.model_json_schema()

    def build(self, config: JsonObject) -> ActedConfig:
        return ActedConfig.model_validate(config)

    def run(self, config: ActedConfig, context: Any) -> Outcome:
        if context.attempt <= config.flaky:
            return Retry(StepFault(code="flaky", message="not yet"))
        if config.fails:
            return Fail(StepFault(code="acted", message="as told"))
        return Done({"step": context.step_key}, tuple(config.ports))


#: The config of a step that simply succeeds.
STEADY = {"drawn": [DEFAULT_PORT], "ports": [DEFAULT_PORT], "fails": False, "flaky": 0}
ACTED: Kinds = {"acted": Acted()}  # type: ignore[dict-item]  # a test double: its attributes are plain class attributes


def random_document(random: Random, most: int = 14, *, cancels: bool = False) -> dict[str, Any]:
    """A drawing of 1 to `most` steps with forks, cases, joins of all kinds, failures and error ports.

    `cancels`: joins may also cancel branches. Then what happens depends on who comes first: see `Expected.unsure`.
    """
    count = random.randint(1, most)
    keys = [f"s{n}" for n in range(count)]
    steps = [_random_step(random, key) for key in keys]
    edges: dict[tuple[str, str, str], None] = {}
    for target in range(1, count):
        for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
            source = random.randrange(max(0, target - 5), target)
            ports = [*steps[source]["config"]["drawn"], *([ERROR_PORT] if random.random() < 0.4 else [])]
            edges[keys[source], random.choice(ports), keys[target]] = None
    for step in steps:
        incoming = sum(1 for edge in edges if edge[2] == step["key"])
        if incoming > 1:
            step["join"] = _random_join(random, incoming, cancels=cancels)
    return {
        "format": "branchline/1",
        "name": "Random",
        "steps": steps,
        "edges": [{"from": source, "port": port, "to": target} for source, port, target in edges],
    }


def _random_join(random: Random, incoming: int, *, cancels: bool) -> dict[str, Any]:
    mode = random.choice(("all", "all", "any", "quorum"))
    policies = ("finish", "finish", "continue", *(("abort", "abort") if cancels else ()))
    join: dict[str, Any] = {"mode": mode, "on_branch_failure": random.choice(policies)}
    if mode == "quorum":
        join["quorum"] = random.randint(1, incoming)
    elif mode == "all" and random.random() < 0.4:
        join["tolerate"] = random.choice(({"count": random.randrange(incoming)}, {"percent": random.randrange(100)}))
    if cancels and random.random() < 0.5:
        join["late"] = "cancel"
    return join


def _random_step(random: Random, key: str) -> dict[str, Any]:
    drawn = random.choice(([DEFAULT_PORT], [DEFAULT_PORT], ["left", "right"], ["left", "right", "middle"]))
    taken = [port for port in drawn if random.random() < 0.7] or [drawn[0]]
    config = {"drawn": drawn, "ports": taken, "fails": random.random() < 0.15, "flaky": random.choice((0, 0, 0, 1))}
    retry = {"attempts": 3, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}
    return {"key": key, "name": key, "kind": "acted", "config": config, "at": [0, 0], "retry": retry}


@dataclass(frozen=True)
class Expected:
    """What must have happened: which steps ran and failed, which joins could not start, how the run ended.

    `unsure` are steps that a decided join may have cancelled, or may have come too late for: whatever they do, every
    way from them leads to that join. `states` are how the run may end then.
    """

    ran: frozenset[str]
    failed: frozenset[str]
    blocked_joins: frozenset[str]
    state: str
    unsure: frozenset[str] = field(default=frozenset(), compare=False)
    states: frozenset[str] = field(default=frozenset(), compare=False)

    def allows(self, happened: "Expected") -> bool:
        """Whether this is what may happen."""
        return happened.sure_of(self.unsure) == self.sure_of(self.unsure) and happened.state in self.states

    def sure_of(self, unsure: frozenset[str]) -> tuple[frozenset[str], ...]:
        """The steps of each set whose fate is certain."""
        return self.ran - unsure, self.failed - unsure, self.blocked_joins - unsure


def expected(document: dict[str, Any]) -> Expected:
    """Read the drawing in one thread, step by step, from the meaning of each edge alone."""
    steps = {step["key"]: step for step in document["steps"]}
    incoming: dict[str, list[dict[str, str]]] = {key: [] for key in steps}
    drawn: dict[str, set[str]] = {key: set() for key in steps}
    for edge in document["edges"]:
        incoming[edge["to"]].append(edge)
        drawn[edge["from"]].add(edge["port"])
    fate: dict[str, str] = {}
    blocked_joins: set[str] = set()
    for key, step in steps.items():  # keys are in topological order by construction
        fate[key] = _fate(step, [_signal(steps[e["from"]], fate[e["from"]], e["port"], drawn) for e in incoming[key]])
        if fate[key] == "join_failed":
            blocked_joins.add(key)
    unsure = _unsure(document, fate)
    state = "failed" if _ends_badly(steps, fate, drawn, frozenset()) else "succeeded"
    states = {state, "failed" if _ends_badly(steps, fate, drawn, unsure) else "succeeded"}
    if _may_end_badly([steps[key] for key in unsure], drawn):
        states.add("failed")
    return Expected(
        ran=frozenset(key for key, one in fate.items() if one in ("succeeded", "failed")),
        failed=frozenset(key for key, one in fate.items() if one == "failed"),
        blocked_joins=frozenset(blocked_joins),
        state=state,
        unsure=unsure,
        states=frozenset(states),
    )


def _unsure(document: dict[str, Any], fate: dict[str, str]) -> frozenset[str]:
    """Steps from which every drawn way leads to a join that cancels by its verdict."""
    found: set[str] = set()
    for join in document["steps"]:
        policy = join.get("join", {})
        blocked = fate[join["key"]] == "join_failed"
        fired = fate[join["key"]] in ("succeeded", "failed")
        cancels = policy.get("on_branch_failure") == "abort" if blocked else fired and policy.get("late") == "cancel"
        if cancels and (policy.get("mode") != "all" or blocked):
            found |= {step["key"] for step in document["steps"] if _leads_only_to(document, step["key"], join["key"])}
    return frozenset(found)


def _leads_only_to(document: dict[str, Any], key: str, join: str) -> bool:
    targets = [edge["to"] for edge in document["edges"] if edge["from"] == key]
    return key != join and bool(targets) and all(one == join or _leads_only_to(document, one, join) for one in targets)


def _ends_badly(
    steps: dict[str, Any], fate: dict[str, str], drawn: dict[str, set[str]], without: frozenset[str]
) -> bool:
    """Whether a failure arrives at an end of the drawing: a join that goes on without the branch swallows it."""
    for key, step in steps.items():
        if key in without or fate[key] in ("succeeded", "skipped"):
            continue
        handled = fate[key] in ("failed", "join_failed") and ERROR_PORT in drawn[key]
        if not handled and any(port not in drawn[key] for port in step["config"]["drawn"]):
            return True
    return False


def _may_end_badly(unsure: list[dict[str, Any]], drawn: dict[str, set[str]]) -> bool:
    """Whether a failure among steps of unsure fate might arrive at an end: a cancelled neighbour may let them run."""
    fails = any(step["config"]["fails"] and ERROR_PORT not in drawn[step["key"]] for step in unsure)
    return fails and any(port not in drawn[step["key"]] for step in unsure for port in step["config"]["drawn"])


def _signal(source: dict[str, Any], fate: str, port: str, drawn: dict[str, set[str]]) -> str:
    if fate == "succeeded":
        return "ok" if port in source["config"]["ports"] else "skip"
    if fate == "skipped":
        return "skip"
    if fate == "blocked":
        return "skip" if port in FAILURE_PORTS else "fail"
    if ERROR_PORT in drawn[source["key"]]:
        return "ok" if port == ERROR_PORT else "skip"
    return "skip" if port in FAILURE_PORTS else "fail"


def _fate(step: dict[str, Any], signals: list[str]) -> str:
    runs = "failed" if step["config"]["fails"] else "succeeded"
    if not signals:
        return runs
    if len(signals) == 1:
        return {"ok": runs, "skip": "skipped", "fail": "blocked"}[signals[0]]
    if set(signals) == {"skip"}:
        return "skipped"
    return runs if _goes_on(step.get("join", {}), signals) else "join_failed"


def _goes_on(join: dict[str, Any], signals: list[str]) -> bool:
    if join.get("on_branch_failure") == "continue":
        return True
    if join.get("mode", "all") != "all":
        return signals.count("ok") >= (1 if join["mode"] == "any" else join["quorum"])
    tolerate = join.get("tolerate", {})
    tolerated = tolerate.get("count", len(signals) * tolerate.get("percent", 0) // 100)
    return bool(signals.count("fail") <= tolerated)
