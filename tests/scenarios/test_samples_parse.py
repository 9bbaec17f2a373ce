"""The samples are sound documents, and the regional report computes what anybody else would."""

import random
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from designer.samples.functions import RegionRows, totals
from designer.samples.load import NAMES, load, sample
from orchestrator.core.compile import compile_plan
from orchestrator.core.csv_rows import csv_input
from orchestrator.core.document_json import document_as_json
from orchestrator.core.parse import parse_document
from orchestrator.core.problems import find_problems
from orchestrator.core.schema import check_input
from orchestrator.core.schema_example import example_of
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Run, Version
from orchestrator.services.members import machine_actor
from orchestrator.steps import KINDS, load_modules
from orchestrator.steps.function import as_plain_json
from tests.factories import make_workspace

load_modules(["designer.samples.functions"])


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_has_no_problem_and_compiles(name: str) -> None:
    document = parse_document(sample(name))
    assert [problem.as_json() for problem in find_problems(document, KINDS)] == []
    assert compile_plan(document, KINDS).steps


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_spelled_as_it_would_be_exported(name: str) -> None:
    assert document_as_json(parse_document(sample(name))) == sample(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_samples_schema_admits_its_own_example(name: str) -> None:
    schema = sample(name)["input"]
    example = example_of(schema)
    assert isinstance(example, dict)
    if name == "regional-report":
        example |= {"mail_to": "sales@example.org"}
    if name == "leave-request":
        example |= {"reason": "Sea"}
    assert check_input(schema, example) == []


def test_no_sample_file_is_left_out() -> None:
    folder = Path(__file__).parents[2] / "designer" / "samples"
    assert {path.stem for path in folder.glob("*.json")} == set(NAMES)


@pytest.mark.django_db
def test_loading_adds_and_publishes_each_sample_once() -> None:
    workspace = make_workspace("demo")
    actor = machine_actor(workspace)
    assert [workflow.slug for workflow in load(workspace, actor)] == list(NAMES)
    assert load(workspace, actor) == []
    assert {version.workflow.slug for version in Version.objects.all()} == set(NAMES)
    assert not Version.objects.exclude(published_by=None).exists()
    assert not Run.objects.exists()
    with pytest.raises(ValueError, match="belongs to"):
        load(make_workspace("other"), actor)


def sales(count: int, regions: list[str], seed: int) -> str:
    """A CSV file of sales."""
    chance = random.Random(seed)
    lines = ["region,product,quantity,price,date"]
    for _ in range(count):
        price = f"{chance.randint(1, 99_999) / 100:.2f}"
        product = chance.choice(["mug", "pen", "ink, blue", 'pad "A5"'])
        cell = '"' + product.replace('"', '""') + '"'
        lines.append(
            f"{chance.choice(regions)},{cell},{chance.randint(0, 50)},{price},2026-03-{chance.randint(1, 31):02}"
        )
    return "\n".join(lines) + "\n"


def reported(rows: list[Any]) -> Any:
    """What the report's steps make of these rows, lane by lane, in one process."""
    steps = {step["key"]: step["config"] for step in sample("regional-report")["steps"]}
    with Sandbox(processes=1) as sandbox:
        split: Any = sandbox.script(steps["split"]["code"], {"input": {"rows": rows}})
        lanes = []
        for number, lane in enumerate(split["lanes"], start=1):
            sums = as_plain_json(totals(TypeAdapter(list[RegionRows]).validate_python(lane)))
            lanes.append(sandbox.script(steps[f"rank_{number}"]["code"], {"arguments": {"totals": sums}}))
        return sandbox.script(steps["report"]["code"], {"arguments": {"lanes": lanes}})


@pytest.mark.parametrize(
    ("count", "regions"),
    [
        (10_000, ["North", "South", "East", "West"]),
        (500, ["A", "B", "C", "D", "E", "F", "G", "Süd"]),  # more regions than lanes
        (20, ["Only"]),  # fewer
    ],
)
def test_the_report_agrees_with_an_independent_computation(count: int, regions: list[str]) -> None:
    rows: Any = csv_input(sales(count, regions, seed=count).encode())["rows"]
    revenue: dict[str, Decimal] = defaultdict(Decimal)
    sold: dict[str, int] = defaultdict(int)
    by_product: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        amount = int(row["quantity"]) * Decimal(row["price"])
        revenue[row["region"]] += amount
        sold[row["region"]] += int(row["quantity"])
        by_product[row["region"], row["product"]] += amount
    report = reported(rows)
    assert report["rows"] == count
    assert report["revenue"] == float(sum(revenue.values()))
    assert [part["region"] for part in report["regions"]] == sorted(revenue)
    for part in report["regions"]:
        region = part["region"]
        assert part["revenue"] == float(revenue[region])
        assert part["quantity"] == sold[region]
        assert by_product[region, part["best_product"]] == max(
            amount for (where, _), amount in by_product.items() if where == region
        )
