"""choose, merge, end, transform, script."""

import pytest

from orchestrator.core.json_types import Json
from orchestrator.core.outcome import Done, Fail, TimedOut
from orchestrator.engine.sandbox import Sandbox
from orchestrator.steps import KINDS
from tests.steps.context import Context

CASES: list[Json] = [
    {"port": "large", "when": {"$": "input.amount > 100"}},
    {"port": "medium", "when": {"$": "input.amount > 10"}},
    {"port": "ratio", "when": {"$": "100 / input.amount > 50"}},
]


def _choose(sandbox: Sandbox, amount: Json, **config: Json) -> Done | Fail:
    kind = KINDS["choose"]
    context = Context(roots={"input": {"amount": amount}}, sandbox=sandbox)
    outcome = kind.run(kind.build({"cases": CASES, **config}), context)
    assert isinstance(outcome, Done | Fail)
    return outcome


@pytest.mark.parametrize(
    ("mode", "amount", "ports"),
    [
        ("exclusive", 500, ("large",)),
        ("exclusive", 50, ("medium",)),
        ("exclusive", 5, ("otherwise",)),
        ("exclusive", 1, ("ratio",)),
        ("inclusive", 500, ("large", "medium")),
        ("inclusive", 5, ("otherwise",)),
    ],
)
def test_choose_takes(sandbox: Sandbox, mode: str, amount: int, ports: tuple[str, ...]) -> None:
    assert _choose(sandbox, amount, mode=mode) == Done({"ports": list(ports)}, ports=ports)


def test_choose_does_not_look_behind_the_first_true_case(sandbox: Sandbox) -> None:
    cases: list[Json] = [{"port": "zero", "when": {"$": "input.amount == 0"}}, CASES[2]]
    assert _choose(sandbox, 0, cases=cases) == Done({"ports": ["zero"]}, ports=("zero",))
    failed = _choose(sandbox, 0, cases=cases, mode="inclusive")
    assert isinstance(failed, Fail)
    assert failed.fault.code == "expression_failed"
    assert failed.fault.message.startswith('Case "ratio":')


def test_choose_takes_true_and_false_for_what_they_are() -> None:
    kind = KINDS["choose"]
    config = kind.build({"cases": [{"port": "never", "when": False}, {"port": "always", "when": True}]})
    assert kind.run(config, Context()).ports == ("always",)


@pytest.mark.parametrize(
    "cases",
    [
        [],
        [{"port": "out", "when": True}],
        [{"port": "error", "when": True}],
        [{"port": "otherwise", "when": True}],
        [{"port": "a", "when": True}, {"port": "a", "when": True}],
        [{"port": "Not a key", "when": True}],
        [{"port": {"$": "input.port"}, "when": True}],
        {"$": "input.cases"},
        [{"port": "a"}],
    ],
)
def test_choose_refuses_cases(cases: Json) -> None:
    assert KINDS["choose"].check({"cases": cases})


def test_choose_has_a_port_for_each_case() -> None:
    ports = KINDS["choose"].ports
    assert ports({"cases": CASES}) == ("large", "medium", "ratio", "otherwise", "error")
    assert ports({}) == ports({"cases": [1, {"port": 2}]}) == ("otherwise", "error")  # a draft may be anything


def test_merge_gives_out_the_join() -> None:
    joined: Json = {"branches": {"a": 1}, "arrived": ["a"], "missing": ["b"]}
    kind = KINDS["merge"]
    assert kind.run(kind.build({}), Context(roots={"join": joined})) == Done(joined)


def test_end_succeeds_without_a_port() -> None:
    kind = KINDS["end"]
    assert kind.run(kind.build({}), Context()) == Done(None, ports=())
    assert kind.ports({}) == ()


def test_end_fails_with_its_code() -> None:
    kind = KINDS["end"]
    outcome = kind.run(kind.build({"result": "fail", "code": "no_stock", "message": "Sold out"}), Context())
    assert isinstance(outcome, Fail)
    assert (outcome.fault.code, outcome.fault.message) == ("no_stock", "Sold out")


def test_transform_gives_out_its_value() -> None:
    kind = KINDS["transform"]
    assert kind.run(kind.build({"value": {"a": [1]}}), Context()) == Done({"a": [1]})


def test_script_reads_arguments_and_roots_and_logs(sandbox: Sandbox) -> None:
    kind = KINDS["script"]
    context = Context(roots={"input": {"factor": 2}}, sandbox=sandbox)
    code = "print('rows:', len(arguments.rows))\ntotal = sum(arguments.rows)\ntotal * input.factor"
    assert kind.run(kind.build({"code": code, "arguments": {"rows": [1, 2, 3]}}), context) == Done(12)
    assert context.log.lines == ["rows: 3"]


def test_script_fails_with_its_line(sandbox: Sandbox) -> None:
    kind = KINDS["script"]
    outcome = kind.run(kind.build({"code": "a = 1\na / 0"}), Context(sandbox=sandbox))
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "expression_failed"
    assert outcome.fault.message.startswith("Line 2: ZeroDivisionError")


def test_script_times_out_with_the_step(sandbox: Sandbox) -> None:
    kind = KINDS["script"]
    outcome = kind.run(kind.build({"code": "while True: pass"}), Context(sandbox=sandbox, timeout=0.1))
    assert isinstance(outcome, TimedOut)
    assert not outcome.final
