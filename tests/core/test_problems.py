from typing import Any

import pytest
from hypothesis import given, settings

from orchestrator.core.document import Document, Edge, Join, Retry, Step
from orchestrator.core.parse import document_as_json, parse_document
from orchestrator.core.problem import Problem
from orchestrator.core.problems import find_problems
from tests.core.drawings import choose, document, raw_document, raw_documents, step
from tests.core.kinds_for_tests import KINDS

Steps = list[dict[str, Any]]
FORK = [step("a"), step("b"), step("c"), step("d")]
FORKED = "a -> b, a -> c, b -> d, c -> d"


def value(source: str) -> dict[str, Any]:
    return {"value": {"$": source}}


def problems(steps: Steps, edges: str = "", **fields: Any) -> list[Problem]:
    return find_problems(document(steps, edges, **fields), KINDS)


def codes(steps: Steps, edges: str = "", **fields: Any) -> list[str]:
    return [problem.code for problem in problems(steps, edges, **fields)]


def only(steps: Steps, edges: str = "", **fields: Any) -> Problem:
    found = problems(steps, edges, **fields)
    assert [problem.code for problem in found] == [found[0].code], found
    return found[0]


def applied(raw: dict[str, Any], problem: Problem) -> dict[str, Any]:
    """The document after the offered repair."""
    assert problem.fix is not None
    for operation in problem.fix.patch:
        *parents, last = str(operation["path"]).strip("/").split("/")
        spot: Any = raw
        for name in parents:
            spot = spot[int(name)] if isinstance(spot, list) else spot.setdefault(name, {})
        if operation["op"] == "remove":
            del spot[int(last) if isinstance(spot, list) else last]
        else:
            spot[last] = operation["value"]
    return raw


@pytest.mark.parametrize(
    ("steps", "edges"),
    [
        ([step("a")], ""),
        (FORK, FORKED),
        ([step("a", "call", config={"function": "f"}), step("b"), step("c")], "a -> b, a.error -> c, a.timeout -> c"),
        ([choose("a", "x", "y"), step("b"), step("c"), step("d")], "a.x -> b, a.otherwise -> c, b -> d, c -> d"),
        ([step("a"), step("b", config=value("steps.a.id"))], "a -> b"),
        ([step("a"), step("b")], "a -> b, a.error -> b"),  # a failure port and the normal one may meet
        ([step("a", disabled=True, config=value("steps.nobody"))], ""),  # nothing in it is evaluated
        ([step("a", join={}), step("b"), step("c")], "b -> a, c -> a"),
    ],
)
def test_a_sound_drawing_has_no_problems(steps: Steps, edges: str) -> None:
    assert problems(steps, edges) == []


@pytest.mark.parametrize(
    ("steps", "edges", "code", "mentions"),
    [
        ([], "", "no_steps", "palette"),
        ([step("a"), step("a")], "", "duplicate_key", '"a"'),
        ([step("a", "htpp")], "", "unknown_kind", 'Did you mean "http"?'),
        ([step("a", "for_each")], "", "unknown_kind", "for_each"),
        ([step("a", "http")], "", "missing_field", '"url"'),
        ([step("a")], "a -> a", "self_edge", '"a"'),
        ([step("a"), step("b")], "a -> b, a -> b", "duplicate_edge", "twice"),
        ([step("alpha"), step("b")], "alpha -> b, alpha -> bb", "unknown_step", '"bb"'),
        ([step("alpha"), step("b")], "alhpa -> b", "unknown_step", 'Did you mean "alpha"?'),
        ([step("a"), step("b")], "a.otu -> b", "unknown_port", '"otu"'),
        ([step("a"), step("b")], "a.timeout -> b", "unknown_port", 'no "timeout" port'),
        ([step("a", "end"), step("b")], "a -> b", "unknown_port", "nothing can follow"),
        ([choose("a", "x"), step("b")], "a.out -> b", "unknown_port", '"x", "otherwise", "error"'),
        ([step("a", parent="b"), step("b")], "", "parent_not_container", "holds no others"),
        ([step("a", parent="b")], "", "unknown_parent", '"b"'),
        ([step("a", timeout="PT0S")], "", "timeout_invalid", "0 seconds"),
        ([step("a", join={"mode": "any"})], "", "join_without_branches", "no edges lead"),
    ],
)
def test_it_names_what_is_wrong(steps: Steps, edges: str, code: str, mentions: str) -> None:
    found = only(steps, edges)
    assert found.code == code
    assert mentions in found.message


@pytest.mark.parametrize(
    ("steps", "edges"),
    [
        ([step("a"), step("a")], ""),
        ([step("a"), step("a_2"), step("a")], ""),
        ([step("a")], "a -> a"),
        ([step("a"), step("b")], "a -> b, a -> b"),
        ([step("a"), step("b")], "a -> b, a -> nowhere"),
        ([step("alpha"), step("b")], "alhpa -> b"),
        ([step("alpha"), step("beta")], "alpha -> btea"),
        ([step("a"), step("b")], "a.eror -> b"),
        ([choose("a", "yes"), step("b")], "a.yse -> b"),
        ([step("a"), step("b"), step("c")], "a -> b, b -> c, c -> b"),
        ([step("a", join={"mode": "any"})], ""),
        ([step("a", parent="b"), step("b")], ""),
        ([*FORK[:3], step("d", join={"mode": "quorum", "quorum": 3})], FORKED),
        ([*FORK[:3], step("d", join={"mode": "quorum", "quorum": 0})], FORKED),
        ([*FORK[:3], step("d", join={"mode": "any", "quorum": 1})], FORKED),
        ([*FORK[:3], step("d", join={"deadline": "PT0S"})], FORKED),
        ([*FORK[:3], step("d", join={"on_deadline": "proceed"})], FORKED),
        ([*FORK[:3], step("d", join={"tolerate": {"percent": 101}})], FORKED),
        ([*FORK[:3], step("d", join={"mode": "any", "tolerate": {"count": 1}})], FORKED),
        ([*FORK[:3], step("d", join={"late": "cancel"})], FORKED),
        ([choose("a", "x"), *FORK[1:3], step("d", join={"mode": "quorum", "quorum": 2})],
         "a.x -> b, a.otherwise -> c, b -> d, c -> d"),
    ],
)  # fmt: skip
def test_the_offered_fix_repairs(steps: Steps, edges: str) -> None:
    raw = document_as_json(document(steps, edges))
    found = find_problems(parse_document(raw), KINDS)[0]
    repaired = find_problems(parse_document(applied(raw, found)), KINDS)
    assert found.code not in [problem.code for problem in repaired]


def test_it_finds_all_at_once_in_document_order() -> None:
    steps = [
        step("a", "nobody"),
        step("b", "http", config={"body": {"$": "1 +"}}, retry={"attempts": 2}),
        step("c", config=value("steps.missing.id"), undo={"kind": "call", "config": {}}),
        step("c"),
    ]
    found = problems(steps, "a -> zz, b -> c, c -> b", output={"$": "inptu.x"}, input={"$ref": "http://example.test"})
    assert [(problem.code, problem.step, problem.field) for problem in found] == [
        ("schema_ref_forbidden", None, "input"),
        ("schema_invalid", None, "input.type"),
        ("unknown_name", None, "output"),
        ("unknown_kind", "a", "kind"),
        ("missing_field", "b", "config.url"),
        ("expression_invalid", "b", "config.body"),
        ("missing_field", "c", "undo.config.function"),
        ("unknown_step", "c", "config.value"),
        ("duplicate_key", "c", "key"),
        ("unknown_step", None, None),
        ("cycle", "b", None),
    ]


def test_a_cycle_is_spelled_out() -> None:
    found = problems([step("a"), step("b"), step("c"), step("d"), step("e")], "a -> b, b -> c, c -> d, d -> b, d -> e")
    assert [problem.code for problem in found] == ["cycle"]
    assert '"b" -> "c" -> "d" -> "b"' in found[0].message
    assert found[0].edge == ("d", "out", "b")


def test_only_circles_can_keep_a_workflow_from_starting() -> None:
    assert codes([step("a"), step("b"), step("c")], "a -> b, b -> a, b -> c") == [
        "no_start_step",
        "cycle",
        "unreachable_step",
    ]


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


@pytest.mark.parametrize(
    ("first", "edges", "join", "code"),
    [
        (step("a"), FORKED, {"mode": "quorum", "quorum": 2}, None),
        (step("a"), FORKED, {"mode": "quorum", "quorum": 3}, "quorum_too_large"),
        (step("a"), FORKED, {"mode": "quorum", "quorum": 0}, "quorum_too_small"),
        (step("a"), FORKED, {"mode": "quorum"}, "quorum_missing"),
        (step("a"), FORKED, {"mode": "all", "quorum": 2}, "quorum_not_used"),
        (step("a"), FORKED, {"deadline": "PT1M", "on_deadline": "proceed"}, None),
        (step("a"), FORKED, {"deadline": "PT1M"}, None),  # it fails then: the default
        (step("a"), FORKED, {"deadline": "PT0S"}, "deadline_invalid"),
        (step("a"), FORKED, {"on_deadline": "proceed"}, "on_deadline_not_used"),
        (step("a"), FORKED, {"on_branch_failure": "continue"}, None),
        (step("a"), FORKED, {"on_branch_failure": "abort"}, None),
        (step("a"), FORKED, {"tolerate": {"count": 1}}, None),
        (step("a"), FORKED, {"tolerate": {"percent": 50}, "on_branch_failure": "abort"}, None),
        (step("a"), FORKED, {"tolerate": {"count": 0}}, None),
        (step("a"), FORKED, {"tolerate": {"count": 2}}, "tolerate_out_of_range"),  # that is "continue"
        (step("a"), FORKED, {"tolerate": {"count": -1}}, "tolerate_out_of_range"),
        (step("a"), FORKED, {"tolerate": {"percent": 100}}, "tolerate_out_of_range"),
        (step("a"), FORKED, {"tolerate": {"percent": 101}}, "tolerate_out_of_range"),
        (step("a"), FORKED, {"tolerate": {"percent": -0.5}}, "tolerate_out_of_range"),
        (step("a"), FORKED, {"tolerate": {"percent": 49}}, "tolerate_without_effect"),
        (step("a"), FORKED, {"tolerate": {}}, "tolerate_unclear"),
        (step("a"), FORKED, {"tolerate": {"count": 1, "percent": 50}}, "tolerate_unclear"),
        (step("a"), FORKED, {"mode": "any", "tolerate": {"count": 1}}, "tolerate_not_used"),
        (step("a"), FORKED, {"mode": "quorum", "quorum": 1, "tolerate": {"count": 1}}, "tolerate_not_used"),
        (step("a"), FORKED, {"on_branch_failure": "continue", "tolerate": {"count": 1}}, "tolerate_not_used"),
        (step("a"), FORKED, {"late": "cancel"}, "late_not_used"),  # all are awaited: none is late
        (step("a"), FORKED, {"late": "cancel", "deadline": "PT1M"}, None),
        (step("a"), FORKED, {"late": "cancel", "mode": "any"}, None),
        (step("a"), "a -> b, a -> c, b -> d, c -> d, b -> e, c -> e", {"late": "cancel", "mode": "any"},
         "late_cancels_nothing"),  # both branches are needed elsewhere
        (step("a"), FORKED, {"on_branch_failure": "finish", "late": "ignore"}, None),
        (choose("a", "x"), "a.x -> b, a.otherwise -> c, b -> d, c -> d", {"mode": "all"}, None),  # a simple merge
        (choose("a", "x"), "a.x -> b, a.otherwise -> c, b -> d, c -> d", {"mode": "any"}, None),
        (choose("a", "x"), "a.x -> b, a.otherwise -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 1}, None),
        (choose("a", "x"), "a.x -> b, a.otherwise -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 2},
         "join_never_fires"),
        (choose("a", "x"), "a.x -> d, a.otherwise -> d", {"mode": "quorum", "quorum": 2}, "join_never_fires"),
        (choose("a", "x"), "a.x -> b, a.x -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 2}, None),  # same port
        (choose("a", "x", "y", mode="inclusive"), "a.x -> b, a.y -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 2},
         None),  # both may be taken
        (choose("a", "x", mode="inclusive"), "a.x -> b, a.otherwise -> c, b -> d, c -> d",
         {"mode": "quorum", "quorum": 2}, "join_never_fires"),  # `otherwise` is for none of the cases
        (step("a"), "a -> b, a.error -> c, b -> d, c -> d", {"mode": "quorum", "quorum": 2}, "join_never_fires"),
        (choose("a", "x"), "a.x -> b, b -> d, c -> d", {"mode": "quorum", "quorum": 2}, None),  # "c" starts by itself
    ],
)  # fmt: skip
def test_it_checks_joins(first: dict[str, Any], edges: str, join: dict[str, Any], code: str | None) -> None:
    more = [step("e")] if "e" in edges.split() else []
    assert codes([first, step("b"), step("c"), step("d", join=join), *more], edges) == ([code] if code else [])


@pytest.mark.parametrize(
    ("edges", "quorum", "most"),
    [
        (
            "a.x -> p, a.otherwise -> e, e.x -> q, e.otherwise -> r, p -> d, q -> d, r -> d",
            2,
            1,
        ),  # a choice in a choice
        ("a.x -> p, a.otherwise -> q, e.x -> r, e.otherwise -> s, p -> d, q -> d, r -> d, s -> d", 3, 2),  # two apart
        ("a.x -> m, e.x -> m, a.otherwise -> p, e.otherwise -> q, m -> d, p -> d, q -> d", 3, 2),  # two ways to "m"
        ("a.x -> p, a.otherwise -> e, e.x -> p, e.otherwise -> q, p -> d, q -> d", 2, 1),  # by a choice made or not
        ("a.x -> two, e.x -> two, two -> d, a.otherwise -> p, p -> d", 2, 1),  # "two" needs both choices
    ],
)
@pytest.mark.parametrize("short", [0, 1])
def test_no_quorum_is_more_than_any_choices_let_arrive(edges: str, quorum: int, most: int, short: int) -> None:
    quorum = quorum if short else most
    names = {name.split(".")[0] for edge in edges.split(",") for name in edge.split()} - {"->", "a", "e", "d", "two"}
    steps = [choose("a", "x"), choose("e", "x"), *map(step, sorted(names))]
    steps += [step("two", join={"mode": "quorum", "quorum": 2})] if "two" in edges else []
    found = problems([*steps, step("d", join={"mode": "quorum", "quorum": quorum})], edges)
    assert [(one.code, one.step) for one in found] == ([("join_never_fires", "d")] if short else [])
    assert all(f"at most {most} can" in one.message for one in found)


@pytest.mark.parametrize(
    ("join", "mentions"),
    [
        ({"on_branch_failure": "continue"}, "waits until all have answered"),
        ({"deadline": "PT1M", "on_deadline": "proceed"}, "only if its deadline passes"),
    ],
)
def test_a_join_that_fires_without_its_quorum_is_not_refused(join: dict[str, Any], mentions: str) -> None:
    join = {"mode": "quorum", "quorum": 2, **join}
    found = only([choose("a", "x"), step("d", join=join)], "a.x -> d, a.otherwise -> d")
    assert (found.code, found.severity) == ("quorum_out_of_reach", "warning")
    assert mentions in found.message


def test_it_counts_exclusive_groups() -> None:
    task = step("a", "human_task", config={"outcomes": [{"key": "yes"}, {"key": "no"}]})
    steps = [task, step("b"), step("c"), step("d"), step("e", join={"mode": "quorum", "quorum": 3})]
    found = only(steps, "a.yes -> b, a.yes -> c, a.no -> d, b -> e, c -> e, d -> e")
    assert found.code == "join_never_fires"
    assert found.fix is not None
    assert found.fix.label == "Lower the quorum to 2"


def test_secrets_are_not_there_yet() -> None:
    found = only([step("a", config={"headers": {"x": {"$secret": "key"}}})])
    assert (found.code, found.field) == ("secrets_not_available_yet", "config.headers.x")


def test_an_undo_does_something_at_once() -> None:
    found = only([step("a", undo={"kind": "choose", "config": {"cases": []}})])
    assert (found.code, found.field) == ("undo_kind_invalid", "undo.kind")


def test_a_run_that_undoes_nothing_is_told() -> None:
    found = only([step("a")], settings={"on_failure": "undo"})
    assert (found.code, found.severity) == ("nothing_to_undo", "warning")
    assert codes([step("a", undo={"kind": "transform"})], settings={"on_failure": "undo"}) == []


def test_a_disabled_step_may_be_half_done() -> None:
    found = problems([step("a", "http", disabled=True), step("b")], "a -> b")
    assert [(problem.code, problem.severity) for problem in found] == [("missing_field", "warning")]


def test_a_disabled_choice_lets_control_pass_by_out() -> None:
    disabled = {**choose("a", "x"), "disabled": True}
    assert codes([disabled, step("b")], "a.out -> b") == []
    assert codes([disabled, step("b")], "a.x -> b") == ["disabled_blocks"]


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ({"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1/x"}}}, "schema_ref_forbidden"),
        ({"type": "object", "properties": {"x": {"pattern": "(?=a)"}}}, "pattern_unsupported"),
        ({"type": "object", "properties": {"x": {"type": "strin"}}}, "schema_invalid"),
        ({"type": "string"}, "schema_invalid"),
    ],
)
def test_it_checks_the_input_schema(schema: dict[str, Any], code: str) -> None:
    assert codes([step("a")], input=schema) == [code]


def test_it_checks_regions_and_notes() -> None:
    region = {"key": "r", "pattern": "sequence", "steps": ["a", "gone"]}
    note = {"key": "n", "text": "hi"}
    found = problems([step("a")], regions=[region, {**region, "steps": []}], notes=[note, note])
    assert [(problem.code, problem.field) for problem in found] == [
        ("duplicate_key", "regions.1.key"),
        ("duplicate_key", "notes.1.key"),
        ("unknown_step", "regions.0.steps.1"),
        ("region_empty", "regions.1"),
    ]


def test_documents_made_in_python_are_checked_too() -> None:
    retry = Retry(attempts=10**9, first=-1.0, factor=0.5, cap=1e300)
    built = Step(key="a", name="A", kind="transform", retry=retry, timeout=-1.0, join=Join())
    found = find_problems(Document(name="x", steps=(built,)), KINDS)
    assert [(problem.code, problem.field) for problem in found] == [
        ("attempts_out_of_range", "retry.attempts"),
        ("retry_invalid", "retry.first"),
        ("retry_invalid", "retry.cap"),
        ("retry_invalid", "retry.factor"),
        ("timeout_invalid", "timeout"),
        ("join_without_branches", "join"),
    ]


def test_giants_are_refused_alone() -> None:
    steps = tuple(Step(key=f"s{index}", name="S", kind="transform") for index in range(100_000))
    assert [problem.code for problem in find_problems(Document(name="x", steps=steps), KINDS)] == ["graph_too_large"]
    edges = (Edge(source="a", target="b"),) * 1_000_000
    assert [problem.code for problem in find_problems(Document(name="x", edges=edges), KINDS)] == ["graph_too_large"]
    fat = Step(key="a", name="A", kind="transform", config={"x": "y" * 1_000_001})
    assert [problem.code for problem in find_problems(Document(name="x", steps=(fat,)), KINDS)] == ["too_large"]


def test_the_list_ends_but_hides_no_error() -> None:
    noisy = [step(f"s{index}", disabled=True, kind="http") for index in range(300)]
    found = problems([*noisy, step("last", "nobody")])
    assert len(found) == 201
    assert (found[-1].code, found[-1].severity) == ("too_many_problems", "error")
    assert {problem.severity for problem in found[:-1]} == {"warning"}
    assert problems(noisy)[-1].severity == "warning"


@given(raw_documents)
@settings(max_examples=150)
def test_any_document_gets_an_answer(raw: dict[str, Any]) -> None:
    read = parse_document(raw)
    found = find_problems(read, KINDS)
    assert found == find_problems(read, KINDS)
    assert all(problem.message and problem.as_json()["code"] for problem in found)


def test_raw_documents_of_the_tests_are_well_formed() -> None:
    assert parse_document(raw_document(FORK, FORKED)).edges[0] == Edge(source="a", target="b")


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
