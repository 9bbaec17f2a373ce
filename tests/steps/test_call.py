"""`@step` functions and the `call` kind."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator.core.json_types import Json
from orchestrator.core.outcome import Done, Fail, Outcome, Retry
from orchestrator.steps import KINDS, Permanent, StepContext, Transient, load_modules, step, step_kinds_json
from tests.steps.context import Context

pytestmark = pytest.mark.usefixtures("own_functions")


class Line(BaseModel):
    sku: str
    quantity: int = 1


@dataclass
class Receipt:
    at: datetime
    total: Decimal
    lines: list[Line]


def _call(name: str, **arguments: Json) -> Outcome:
    kind = KINDS["call"]
    config: dict[str, Json] = {"function": name, "arguments": arguments}
    outcome = kind.run(kind.build(config), Context())
    if kind.is_async(config):
        awaited: Outcome = asyncio.run(outcome)
        return awaited
    assert not isinstance(outcome, Awaitable)
    return outcome  # type: ignore[no-any-return]


def _registered(function: Callable[..., Any]) -> str:
    step("test.it")(function)
    return "test.it"


def test_it_converts_arguments_and_result_by_the_type_hints() -> None:
    def buy(lines: list[Line], at: datetime) -> Receipt:
        return Receipt(at=at, total=Decimal("1.50"), lines=lines)

    outcome = _call(_registered(buy), lines=[{"sku": "a"}], at="2026-03-01T00:00:00Z")
    lines: Json = [{"sku": "a", "quantity": 1}]
    assert outcome == Done({"at": "2026-03-01T00:00:00Z", "total": "1.50", "lines": lines})


def test_an_async_function_runs_on_the_loop() -> None:
    async def later(n: int) -> int:
        await asyncio.sleep(0)
        return n + 1

    assert _call(_registered(later), n=1) == Done(2)


def test_the_context_is_passed_by_its_type_and_is_no_argument() -> None:
    def keyed(tools: StepContext, schema: str = "x") -> str:
        return f"{tools.idempotency_key} {schema}"

    name = _registered(keyed)
    assert _call(name, schema="y") == Done("key-1 y")
    refused = _call(name, tools="mine")
    assert isinstance(refused, Fail)
    assert refused.fault.code == "arguments_invalid"


@pytest.mark.parametrize("arguments", [{}, {"n": "many"}, {"n": 1, "m": 2}, {"n": None}])
def test_arguments_that_do_not_fit_are_permanent(arguments: dict[str, Json]) -> None:
    def count(n: int) -> int:
        raise AssertionError("must not be called")

    outcome = _call(_registered(count), **arguments)
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "arguments_invalid"
    assert "test.it" in outcome.fault.message


def test_arguments_of_an_async_function_are_checked_too() -> None:
    async def count(n: int) -> int:
        raise AssertionError("must not be called")

    outcome = _call(_registered(count), n="many")
    assert isinstance(outcome, Fail)


@pytest.mark.parametrize(
    ("error", "expected", "code", "after"),
    [
        (Permanent("card_declined", "No", {"amount": 5}), Fail, "card_declined", None),
        (Transient("busy", after=7, code="busy"), Retry, "busy", 7),
        (Transient(), Retry, "transient", None),
        (ValueError("odd"), Retry, "handler_error", None),
        (SystemExit(3), Retry, "handler_error", None),
        (RecursionError(), Retry, "handler_error", None),
    ],
)
def test_errors_become_outcomes(
    error: BaseException, expected: type, code: str, after: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error

    with caplog.at_level(logging.CRITICAL, "orchestrator.steps"):
        outcome = _call(_registered(fail))
    assert isinstance(outcome, expected)
    assert isinstance(outcome, Fail | Retry)
    assert outcome.fault.code == code
    assert not isinstance(outcome, Retry) or outcome.after == after


def test_people_see_the_type_and_text_of_an_error_and_the_log_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("bad\x00 \ud800 row")

    outcome = _call(_registered(fail))
    assert isinstance(outcome, Retry)
    assert outcome.fault.message == "ValueError: bad\N{REPLACEMENT CHARACTER} ? row"
    assert "Traceback" in caplog.text


def test_details_that_are_no_json_are_dropped() -> None:
    def fail() -> None:
        raise Permanent("odd", "Odd", {"at": datetime.now(UTC)})  # type: ignore[dict-item]  # what people do

    outcome = _call(_registered(fail))
    assert isinstance(outcome, Fail)
    assert list(outcome.fault.details) == ["dropped"]


def test_a_result_without_json_form_is_permanent() -> None:
    outcome = _call(_registered(lambda: object()))
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "result_invalid"


@pytest.mark.parametrize("name", ["nope", "shop.reserve ", "../../x", "__class__", "$(id)", "test.IT", "a\x00"])
def test_only_exact_names_are_found(name: str) -> None:
    outcome = _call(name)
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == "unknown_function"


@pytest.mark.parametrize("name", ["", "Shop.reserve", "a b", "a..b", "__x", "a.b-c"])
def test_names_are_checked_when_registered(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        step(name or "-")(lambda: None)


def test_two_functions_cannot_share_a_name() -> None:
    def one() -> None: ...
    def two() -> None: ...

    step("test.same")(one)
    step("test.same")(one)  # a module imported twice
    with pytest.raises(ValueError, match="Two step functions"):
        step("test.same")(two)


def test_a_plain_decorator_takes_the_name_of_module_and_function() -> None:
    @step
    def charge() -> None: ...

    assert KINDS["call"].check({"function": "test_call.charge"}) == []


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"function": "test.it", "arguments": {"n": 1}}, []),
        ({"function": "test.it", "arguments": {"n": {"$": "input.n"}}}, []),
        ({"function": "test.it", "arguments": {"$": "input"}}, []),
        ({"function": "test.it", "arguments": {"n": "x"}}, ["arguments.n"]),
        ({"function": "test.it", "arguments": {}}, ["arguments.n"]),
        ({"function": "test.it", "arguments": {"n": 1, "m": 1}}, ["arguments.m"]),
        ({"function": "test.other"}, ["function"]),
        ({"function": {"$": "input.f"}}, ["function"]),
        ({}, ["function"]),
        ({"function": 7}, ["function"]),
        ({"function": "test.it", "arguments": 5}, ["arguments"]),
    ],
)
def test_the_drawing_is_checked_against_the_function(config: dict[str, Json], found: list[str]) -> None:
    def count(n: int) -> int:
        return n

    _registered(count)
    assert [problem.path for problem in KINDS["call"].check(config)] == found


def test_a_form_can_be_made_of_every_function() -> None:
    def count(n: int, tags: list[str] | None = None) -> int:
        """Count things.

        More text."""
        return n

    _registered(count)
    functions = step_kinds_json()["functions"]
    assert isinstance(functions, list)
    own = next(function for function in functions if function["name"] == "test.it")
    assert own["description"] == "Count things."
    assert own["arguments_schema"]["required"] == ["n"]
    assert set(own["arguments_schema"]["properties"]) == {"n", "tags"}


def test_modules_are_loaded_by_name_and_a_missing_one_is_named() -> None:
    assert "shop.charge" in load_modules(["designer.samples.functions"])
    with pytest.raises(ImportError, match=r"'no\.such\.module'.*BRANCHLINE_STEP_MODULES"):
        load_modules(["no.such.module"])


@pytest.mark.parametrize(
    ("function", "arguments", "code"),
    [
        ("shop.charge", {"amount": 20, "card": "declined"}, "card_declined"),
        ("shop.charge", {"amount": 20, "limit": 10}, "card_declined"),
        ("shop.reserve", {"sku": "sold-out-7"}, "out_of_stock"),
        ("shop.reserve", {"sku": "a", "quantity": 0}, "arguments_invalid"),
        ("reports.parse", {"text": "a,b\n1,2"}, "report_invalid"),
        ("reports.parse", {"text": "region,amount\nnorth,many"}, "report_invalid"),
    ],
)
def test_sample_functions_refuse(function: str, arguments: dict[str, Json], code: str) -> None:
    load_modules(["designer.samples.functions"])
    outcome = _call(function, **arguments)
    assert isinstance(outcome, Fail)
    assert outcome.fault.code == code


def test_sample_functions_work_together() -> None:
    load_modules(["designer.samples.functions"])
    parsed = _call("reports.parse", text="Region,Amount,Quantity\nnorth,10.5,2\nsouth,1,1\nnorth,4.5,1\n")
    assert isinstance(parsed, Done)
    summary = _call("reports.summarise_region", rows=parsed.output, region="north")
    assert summary == Done({"region": "north", "rows": 2, "quantity": 3, "total": 15.0, "mean": 7.5})
    assert _call("demo.fibonacci", n=10) == Done(55)
    first, second = (_call("shop.charge", amount=5) for _ in range(2))
    assert first == second  # tried again with the same idempotency key
