"""Random drawings whose steps do what their config says, and what must happen in them, by a second, simple reading."""

from dataclasses import dataclass
from random import Random
from typing import Any

from pydantic import BaseModel

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, FAILURE_PORTS
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import ConfigProblem, Kinds
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
    lazy = ()
    default_timeout = 30.0

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return (*config.get("drawn", [DEFAULT_PORT]), ERROR_PORT)  # type: ignore[misc]

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


ACTED: Kinds = {"acted": Acted()}  # type: ignore[dict-item]  # a test double: its attributes are plain class attributes


def random_document(random: Random, most: int = 14) -> dict[str, Any]:
    """A drawing of 1 to `most` steps with forks, cases, joins of all kinds, failures and error ports."""
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
        if incoming > 1 and random.random() < 0.5:
            mode = random.choice(("any", "quorum"))
            step["join"] = {"mode": mode} | ({"quorum": random.randint(1, incoming)} if mode == "quorum" else {})
    return {
        "format": "branchline/1",
        "name": "Random",
        "steps": steps,
        "edges": [{"from": source, "port": port, "to": target} for source, port, target in edges],
    }


def _random_step(random: Random, key: str) -> dict[str, Any]:
    drawn = random.choice(([DEFAULT_PORT], [DEFAULT_PORT], ["left", "right"], ["left", "right", "middle"]))
    taken = [port for port in drawn if random.random() < 0.7] or [drawn[0]]
    config = {"drawn": drawn, "ports": taken, "fails": random.random() < 0.15, "flaky": random.choice((0, 0, 0, 1))}
    retry = {"attempts": 3, "first": "PT0S", "factor": 1, "cap": "PT0S", "jitter": "none"}
    return {"key": key, "name": key, "kind": "acted", "config": config, "at": [0, 0], "retry": retry}


@dataclass(frozen=True)
class Expected:
    """What must have happened: which steps ran and failed, which joins could not start, how the run ended."""

    ran: frozenset[str]
    failed: frozenset[str]
    blocked_joins: frozenset[str]
    state: str


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
    ended_badly = any(one in ("failed", "join_failed") and ERROR_PORT not in drawn[key] for key, one in fate.items())
    return Expected(
        ran=frozenset(key for key, one in fate.items() if one in ("succeeded", "failed")),
        failed=frozenset(key for key, one in fate.items() if one == "failed"),
        blocked_joins=frozenset(blocked_joins),
        state="failed" if ended_badly and _reaches_end(steps, fate, drawn, document) else "succeeded",
    )


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
    join = step.get("join", {"mode": "all"})
    if join["mode"] == "all":
        if "fail" in signals:
            return "join_failed"
        return runs if "ok" in signals else "skipped"
    need = 1 if join["mode"] == "any" else join["quorum"]
    if signals.count("ok") >= need:
        return runs
    return "skipped" if set(signals) == {"skip"} else "join_failed"


def _reaches_end(
    steps: dict[str, Any], fate: dict[str, str], drawn: dict[str, set[str]], document: dict[str, Any]
) -> bool:
    """Whether a failure arrives at an end of the drawing: a join that goes on without the branch swallows it."""
    for key, step in steps.items():
        if fate[key] in ("succeeded", "skipped"):
            continue
        handled = fate[key] in ("failed", "join_failed") and ERROR_PORT in drawn[key]
        open_end = any(port not in drawn[key] for port in step["config"]["drawn"])
        if open_end and not handled:
            return True
    return False
