"""What expressions and scripts of a drawing read is checked before it is published."""

from typing import Any

import pytest

from tests.core.drawings import choose, step
from tests.core.found import Steps, only, problems, value


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("steps.b.x", None),
        ("steps.a.x + steps.b.x", None),
        ("errors.a", None),
        ("steps.d.x", "reference_not_upstream"),  # itself
        ("steps.e.x", "reference_not_upstream"),  # after it
        ("steps.f.x", "reference_not_upstream"),  # beside it
        ("errors.f", "reference_not_upstream"),
        ("steps.nobody.x", "unknown_step"),
        ("steps.get('e')", None),  # not known before it runs
        ("item.x", "root_not_available"),
        ("turn", "root_not_available"),
        ("event.id", "root_not_available"),
        ("output.id", "root_not_available"),
        ("a.x", "unknown_name"),
        ("open('/etc/passwd')", "expression_invalid"),
        ("eval('1')", "expression_invalid"),
        ("getattr(input, 'x')", "expression_invalid"),
        ("().__class__", "expression_invalid"),
        ("[1 for a in b for c in d for e in f for g in h]", "comprehension_too_deep"),
        ("1 +", "expression_invalid"),
    ],
)
def test_it_checks_what_expressions_read(source: str, code: str | None) -> None:
    steps = [step("a"), step("b"), step("c"), step("d", config={"deep": [value(source)]}), step("e"), step("f")]
    found = problems(steps, "a -> b, b -> c, c -> d, d -> e, a -> f")
    assert [problem.code for problem in found] == ([code] if code else [])
    assert all((problem.step, problem.field) == ("d", "config.deep.0.value") for problem in found)


def test_it_offers_the_step_behind_a_bare_name() -> None:
    found = only([step("charge"), step("b", config=value("charge.id"))], "charge -> b")
    assert 'Did you mean "steps.charge"?' in found.message


def test_an_undo_reads_output_and_error() -> None:
    undo = {"kind": "transform", "config": {"a": {"$": "output.id"}, "b": {"$": "error.code"}, "c": {"$": "steps.a"}}}
    found = problems([step("a", undo=undo)])
    assert [(problem.code, problem.field) for problem in found] == [
        ("reference_not_upstream", "undo.config.c"),
    ]


def test_it_checks_scripts() -> None:
    code = "x = arguments.a + steps.later.b\nprint(x, missing)\nimport math\nmath.pi"
    config = {"code": code, "arguments": {"a": 1}}
    found = problems([step("a", "script", config=config), step("later")], "a -> later")
    assert [(problem.code, problem.field) for problem in found] == [
        ("unknown_name", "config.code"),
        ("reference_not_upstream", "config.code"),
    ]


def test_it_warns_of_undeclared_inputs() -> None:
    schema = {"type": "object", "properties": {"order": {"type": "object", "properties": {"sku": {"type": "string"}}}}}
    found = problems([step("a", config={"x": {"$": "input.order.sku + input.order.suk + input.ordr"}})], input=schema)
    assert [(problem.code, problem.severity) for problem in found] == [("unknown_input", "warning")] * 2
    assert 'Did you mean "sku"?' in found[0].message


@pytest.mark.parametrize(
    ("steps", "edges", "source", "chooser"),
    [
        # After an exclusive choice, a step on one branch may not have run where the branches meet.
        ([choose("a", "x")], "a.x -> b, a.otherwise -> c, b -> d, c -> d", "steps.b.id", "a"),
        ([choose("a", "x")], "a.x -> b, b -> c, c -> d, a.otherwise -> d", "steps.c.id", "a"),
        ([choose("a", "x")], "a.x -> b, b -> d, c -> d", "steps.b.id", "a"),  # the other branch never meets "a"
        ([step("a")], "a -> b, a.error -> c, b -> d, c -> d", "steps.b.id", "a"),
        ([choose("a", "x")], "a.x -> b, b -> d, a.otherwise -> c", "steps.b.id", None),  # only its own branch
        ([choose("a", "x")], "a.x -> b, a.x -> c, b -> d, c -> d", "steps.b.id", None),  # both on the same branch
        ([step("a")], "a -> b, a -> c, b -> d, c -> d", "steps.b.id", None),  # in parallel: both have run
        ([choose("a", "x")], "a.x -> b, a.otherwise -> c, b -> d, c -> d", "steps.a.ports", None),
        (
            [choose("a", "x")],
            "a.x -> b, a.otherwise -> c, b -> d, c -> d",
            "steps.b and steps.b.id",
            None,
        ),  # looks first
        ([choose("a", "x")], "a.x -> b, a.otherwise -> c, b -> d, c -> d", "steps.b", None),
    ],
)
def test_it_warns_of_outputs_that_may_be_missing(steps: Steps, edges: str, source: str, chooser: str | None) -> None:
    found = problems([*steps, step("b"), step("c"), step("d", config=value(source))], edges)
    assert [(problem.code, problem.severity) for problem in found] == (
        [("may_be_skipped", "warning")] if chooser else []
    )
    assert all(f'"{chooser}"' in problem.message for problem in found)


def test_secrets_are_not_there_yet() -> None:
    found = only([step("a", config={"headers": {"x": {"$secret": "key"}}})])
    assert (found.code, found.field) == ("secrets_not_available_yet", "config.headers.x")


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, None),
        ("all alike", None),
        ({"$": "input.customer"}, None),
        ({"$": "input.customer +"}, "expression_invalid"),
        ({"$": "steps.a"}, "root_not_available"),  # no step has run when the limit is asked
        ({"$": "run.id"}, "root_not_available"),
        ({"$secret": "pin"}, "secrets_not_available_yet"),
    ],
)
def test_it_checks_the_key_of_the_limit_of_runs(key: Any, code: str | None) -> None:
    found = problems([step("a")], settings={"concurrency": {"limit": 2, "key": key}})
    errors = [problem for problem in found if problem.severity == "error"]
    assert [problem.field for problem in errors] == (["settings.concurrency.key"] if code else [])
    assert [problem.code for problem in errors][:1] == ([code] if code else [])
