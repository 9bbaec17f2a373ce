import re
from pathlib import Path

import pytest

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.references import SCRIPT_ROOTS, References, references, script_references


def _reads(found: References) -> dict[str, object]:
    """Only what is there, in plain types."""
    return {
        name: value
        for name, value in {
            "steps": {key: sorted(paths) for key, paths in found.steps.items()},
            "errors": {key: sorted(paths) for key, paths in found.errors.items()},
            "input": sorted(found.input),
            "join": sorted(found.join),
            "names": list(found.names),
            "whole": found.whole_steps,
        }.items()
        if value
    }


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("1 + 1", {}),
        ("steps.charge.id", {"steps": {"charge": ["id"]}}),
        ("steps['charge']['id']", {"steps": {"charge": ["id"]}}),
        ("steps.charge", {"steps": {"charge": [""]}}),
        ("steps.a.items[0].name", {"steps": {"a": ["items.0.name"]}}),
        ("steps.a.x + steps.a.y + steps.b", {"steps": {"a": ["x", "y"], "b": [""]}}),
        ("steps.a.rows[input.row].id", {"steps": {"a": ["rows"]}, "input": ["row"]}),  # stops at an unknown key
        ("errors.charge.code", {"errors": {"charge": ["code"]}}),
        ("input.name.upper()", {"input": ["name"]}),  # a call is a method, not a key
        ("input.get('name')", {"input": [""]}),
        ("input.get('order').sku", {"input": [""]}),  # which part a method gives is not known
        ("join.branches.a.output.id + join.missing[0]", {"join": ["branches.a.output.id", "missing.0"]}),
        ("[b for b in join.branches.values()]", {"join": ["branches"]}),
        ("', '.join(steps.join.join)", {"steps": {"join": ["join"]}}),  # neither a method nor a key is the root
        ("steps.get('a')", {"whole": True}),
        ("steps[input.which]", {"input": ["which"], "whole": True}),
        ("[steps for _ in (1,)]", {"whole": True}),
        ("f'{steps.a.x} and {input.y:>{input.width}}'", {"steps": {"a": ["x"]}, "input": ["width", "y"]}),
        ("[steps.x for steps in input.all]", {"input": ["all"]}),  # a variable of that name is no root
        ("[x for x in input.all if x in steps.a]", {"input": ["all"], "steps": {"a": [""]}}),
        ("[y for x in input.rows for y in x]", {"input": ["rows"]}),
        ("(lambda input: input.a)(steps.b)", {"steps": {"b": [""]}}),
        ("(lambda x=input.a: x)()", {"input": ["a"]}),  # a default is read outside
        ("[input for input in input.all]", {"input": ["all"]}),  # the first source, too
        ("len(input.rows)", {"input": ["rows"], "names": ["len"]}),
        ("inptu.a", {"names": ["inptu"]}),
    ],
)
def test_it_reads_chains_of_expressions(source: str, reads: dict[str, object]) -> None:
    assert _reads(references(source)) == reads


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("x = input.a\nx.b", {"input": ["a"]}),
        ("input = {}\ninput.a", {}),  # bound anywhere, local everywhere
        ("for item in steps.a.rows:\n    item.x", {"steps": {"a": ["rows"]}}),
        ("def f(run, x=input.a):\n    return run.id + steps.b.c", {"input": ["a"], "steps": {"b": ["c"]}}),
        ("def f():\n    input = 1\n    return input.a\ninput.b", {"input": ["b"]}),
        ("def f():\n    global input\n    input = 1\ninput.b", {}),
        ("try:\n    1\nexcept ValueError as error:\n    error.x", {"names": ["ValueError"]}),
        ("import math as input\ninput.pi", {}),
        ("join = ','.join(input.a)\njoin", {"input": ["a"]}),
        ("import steps.inner\nsteps.a.b", {}),
        ("match input.a:\n    case {'k': steps, **errors}:\n        steps.x, errors.y", {"input": ["a"]}),
        ("[input := 1]\ninput.a", {}),
        ("[(input := x) for x in steps.a]\ninput.a", {"steps": {"a": [""]}}),  # := leaves the comprehension
        ("with input.a as steps:\n    steps.b", {"input": ["a"]}),
        ("class C:\n    input = 1\n    x = input.a\nsteps.s.t", {"steps": {"s": ["t"]}}),
        ("arguments.sku", {}),
        ("a, *input = steps.x\ninput.y", {"steps": {"x": [""]}}),
        ("input.a = 1\ndel input.b", {"input": ["a", "b"]}),
    ],
)
def test_it_reads_chains_of_scripts(source: str, reads: dict[str, object]) -> None:
    assert _reads(script_references(source)) == reads


def test_it_tells_the_roots() -> None:
    assert references("item.a + turn + run.id + join.arrived").roots == {"item", "turn", "run", "join"}
    assert script_references("arguments.a").roots == {"arguments"}
    assert references("arguments.a").roots == frozenset()


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", "expression_invalid"),
        ("  \n", "expression_invalid"),
        ("1 +", "expression_invalid"),
        ("x = 1", "expression_invalid"),
        ("1; 2", "expression_invalid"),
        ("(x := 1)", "expression_invalid"),
        ("(yield 1)", "expression_invalid"),
        ("await x", "expression_invalid"),
        ("[x async for x in y]", "expression_invalid"),
        ("().__class__.__bases__[0].__subclasses__()", "expression_invalid"),
        ("input.__class__", "expression_invalid"),
        ("__import__('os')", "expression_invalid"),
        ("f'{input.__class__}'", "expression_invalid"),
        ("(lambda: __builtins__)()", "expression_invalid"),
        ("'\x00'", "expression_invalid"),
        ("'\ud800'", "expression_invalid"),
        ("a" * 5_000, "expression_invalid"),
        ("(" * 2_000 + "1" + ")" * 2_000, "expression_invalid"),
        ("-" * 4_000 + "1", "expression_invalid"),
        ("not " * 1_000 + "1", "expression_invalid"),
        ("1" + "+1" * 2_000, "expression_invalid"),
        ("a" + ".b" * 2_000, "expression_invalid"),
        ("[1 for a in x for b in x for c in x for d in x]", "comprehension_too_deep"),
        ("[[[[1 for d in x] for c in x] for b in x] for a in x]", "comprehension_too_deep"),
        ("[x for a in x if [1 for b in x if {1: 2 for c in x if {1 for d in x}}]]", "comprehension_too_deep"),
        ("[(lambda: [1 for b in x for c in x for d in x])() for a in x]", "comprehension_too_deep"),
    ],
)
def test_it_refuses(source: str, code: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        references(source)
    assert caught.value.error_code == code
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "source",
    [
        "[1 for a in x for b in x for c in x]",  # three is fine
        "[a for a in [b for b in [c for c in [d for d in input.x]]]]",  # one after the other multiplies nothing
        r"'\d' + r'\d'",  # an invalid escape is a warning, not an error
        "1 if input.a else 2",
        "{**input, 'a': 1}",
    ],
)
def test_it_takes(source: str) -> None:
    references(source)


@pytest.mark.parametrize("source", ["def f():\n    yield 1", "async def f(): pass", "x.__dict__", "1 +", "return = 2"])
def test_it_refuses_scripts(source: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        script_references(source)
    assert caught.value.error_code == "expression_invalid"


def test_a_script_may_nest_comprehensions_and_assign() -> None:
    script_references("x = [1 for a in y for b in y for c in y for d in y]\nprint(z := 3)")


def test_the_documentation_lists_every_root() -> None:
    text = Path("docs/patterns.md").read_text().partition("## What expressions read")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    assert {name.strip("` ") for cell in listed for name in cell.split(",")} == SCRIPT_ROOTS
