"""`manage.py run` as a person types it: no worker node is up, so the command works by itself."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from orchestrator.models import HumanTask, Run
from orchestrator.models.workspace import Role
from orchestrator.project.embedded.child import ChildOptions, start_child
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.scenarios.conftest import person
from tests.scenarios.driver import decide
from tests.scenarios.sales import add_up, write_sales
from tests.servers import servers
from tests.waiting import wait_until

NO_NEWS = "Valkey does not answer"


def command(samples: House, *arguments: str) -> list[str]:
    return [sys.executable, "manage.py", "run", *arguments, "--workspace", samples.workspace.slug]


def ran(samples: House, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run(
        command(samples, *arguments), env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def answer(output: str) -> Any:
    """The JSON at the end of what was printed."""
    return json.loads(output[output.index("{\n") :])


def test_a_csv_file_becomes_a_report(samples: House, process_environment: dict[str, str], tmp_path: Path) -> None:
    sales = tmp_path / "sales.csv"
    write_sales(sales, 10_000)
    approver = person(samples, "ada", Role.APPROVER)
    printed = tmp_path / "printed"
    arguments = command(samples, "regional-report", "--input", str(sales), "--watch")
    with printed.open("wb") as output:
        process = start_child(arguments, ChildOptions(environment=process_environment, output=output))
        wait_until(Run.objects.exists, 40, "the run to start")
        decide(Run.objects.get().pk, approver, "approved")
        assert process.wait(timeout=60) == 0, printed.read_text()
    shown = answer(printed.read_text())
    assert shown["state"] == "succeeded"
    revenue = {one["region"]: round(one["revenue"], 2) for one in shown["output"]["regions"]}
    assert revenue == {region: float(sums[2]) for region, sums in add_up(sales).items()}


def test_a_document_in_a_file_runs_and_its_exit_code_tells_the_end(
    samples: House, process_environment: dict[str, str], tmp_path: Path
) -> None:
    file, value = tmp_path / "tiny.json", tmp_path / "input.json"
    file.write_text(json.dumps(document([step("half", config={"value": {"$": "12 / input.by"}})])))
    value.write_text('{"by": 2}')
    good = ran(samples, process_environment, str(file), "--input", str(value), "--watch")
    assert (good.returncode, answer(good.stdout)["output"]) == (0, 6), good.stderr
    value.write_text('{"by": 0}')
    bad = ran(samples, process_environment, "tiny", "--input", str(value), "--watch")
    assert bad.returncode == 1
    assert "expression_failed" in bad.stdout


@pytest.fixture
def no_valkey() -> Iterator[Callable[[], None]]:
    """Stops Valkey when it is called; afterwards it is back."""
    valkey = servers().valkey
    if valkey is None:
        pytest.skip("the Valkey of BROKER_URL is not ours to stop")
    yield valkey.stop
    valkey.start()


def test_it_watches_on_when_valkey_goes_away(
    samples: House, process_environment: dict[str, str], tmp_path: Path, no_valkey: Callable[[], None]
) -> None:
    approver = person(samples, "ada", Role.APPROVER)
    file, printed = tmp_path / "asks.json", tmp_path / "printed"
    ask = step("ask", "human_task", config={"title": "Well?", "assignees": {"roles": ["approver"]}})
    file.write_text(json.dumps(document([ask, step("half", config={"value": 6})], "ask.approved > half")))
    with printed.open("wb") as output:
        options = ChildOptions(environment=process_environment, output=output)
        process = start_child(command(samples, str(file), "--watch"), options)
        wait_until(HumanTask.objects.waiting().exists, 40, "somebody to be asked")
        wait_until(lambda: "waiting" in printed.read_text(), 20, "the command to tell of it")
        no_valkey()
        wait_until(lambda: NO_NEWS in printed.read_text(), 20, "the command to notice")
        decide(Run.objects.get().pk, approver, "approved")
        assert process.wait(timeout=60) == 0, printed.read_text()
    text = printed.read_text()
    assert '"state": "succeeded"' in text  # warnings may follow it in the same file
    assert text.count(NO_NEWS) == 1
    assert "Traceback" not in text


def test_it_watches_without_any_valkey(
    samples: House, process_environment: dict[str, str], tmp_path: Path, no_valkey: Callable[[], None]
) -> None:
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(document([step("wait", "delay", config={"for": "PT1S"}), step("z")], "wait > z")))
    no_valkey()
    good = ran(samples, process_environment, str(file), "--watch")
    assert (good.returncode, answer(good.stdout)["output"]) == (0, "z"), good.stderr
    assert NO_NEWS in good.stderr
    assert urlsplit(process_environment["BROKER_URL"]).path in good.stderr
    assert "Traceback" not in good.stderr


def test_what_cannot_start_says_why(samples: House, process_environment: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("[" * 100_000)
    for what, word in (("nothing-here", "There is no workflow"), (str(broken), "nest"), ("order-payment", "customer")):
        refused = ran(samples, process_environment, what, "--watch")
        assert refused.returncode == 1
        assert word in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not Run.objects.exists()
