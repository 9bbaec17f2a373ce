"""`/metrics` of the web process and of worker nodes: what it says, and who may read it."""

import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.db.models import F
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.models import Token
from orchestrator.project import exposition
from orchestrator.project.embedded.child import ChildOptions, start_child
from orchestrator.project.metrics_server import open_server
from orchestrator.queries.fsck import INVARIANTS
from orchestrator.queries.gauges import Gauge
from orchestrator.web import observed  # noqa: F401  registers what it counts
from tests.engine.drawings import document, step
from tests.engine.house import House, make_house
from tests.project.up_process import ROOT
from tests.waiting import wait_until


def samples(text: str) -> dict[tuple[str, str], float]:
    """(name, first label's value) -> sum."""
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, next(iter(sample.labels.values()), "")
            found[key] = found.get(key, 0.0) + sample.value
    return found


def test_the_documentation_lists_every_metric_and_no_other() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    listed = set(re.findall(r"^\| `(branchline_\w+)`", text, re.MULTILINE))
    counted = {family.name + "_total" * (family.type == "counter") for family in REGISTRY.collect()}
    kinds = ("ready", "leased", "waiting", "run", "undo_stuck", "worker")
    read = exposition._families([Gauge(what=what, label="", count=0, age=None) for what in kinds])
    ours = {name for name in counted if name.startswith("branchline_")}
    assert listed == ours | {family.name for family in read} | {"branchline_database_up"}
    alerts = set(re.findall(r"\b(branchline_\w+)", text.partition("### Alerts")[2].partition("## Traces")[0]))
    assert {name.removesuffix("_bucket") for name in alerts} <= listed


@pytest.mark.django_db
def test_the_scrape_has_counts_and_rows(client: Client) -> None:
    answer = client.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.content.decode())
    assert found["branchline_database_up", ""] == 1
    assert found["branchline_waiting_tokens", ""] == 0
    assert ("branchline_timers_fired_total", "") in found


@pytest.mark.django_db
def test_the_scrape_says_how_long_the_oldest_step_of_a_queue_lies(client: Client) -> None:
    house = make_house()
    house.start(house.publish(document([step("old", queue="slow"), step("new")])))
    house.start(house.publish(document([step("older", queue="slow")])))
    Token.objects.filter(queue="slow").update(ready_at=F("ready_at") - timedelta(hours=1))
    Token.objects.filter(pk=Token.objects.filter(queue="slow").latest("pk").pk).update(
        ready_at=F("ready_at") - timedelta(hours=2)
    )
    ages = samples(client.get("/metrics").content.decode())
    assert 3 * 3600 <= ages["branchline_ready_age_seconds", "slow"] < 4 * 3600
    assert 0 <= ages["branchline_ready_age_seconds", "default"] < 3600


def test_the_scrape_outlives_the_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_ttl: float) -> Iterator[object]:
        raise OperationalError("away")

    monkeypatch.setattr(exposition, "gauges", away)
    found = samples(client.get("/metrics").content.decode())
    assert found["branchline_database_up", ""] == 0
    assert ("branchline_timers_fired_total", "") in found


@pytest.mark.parametrize(
    ("address", "variables", "said"),
    [
        ("127.0.0.1:9464", {}, "PROMETHEUS_MULTIPROC_DIR"),
        ("0.0.0.0:9464", {"PROMETHEUS_MULTIPROC_DIR": "x"}, "BRANCHLINE_METRICS_TOKEN"),
        ("[::]:9464", {"PROMETHEUS_MULTIPROC_DIR": "x"}, "BRANCHLINE_METRICS_TOKEN"),
        ("9464", {"PROMETHEUS_MULTIPROC_DIR": "x"}, "ADDRESS:PORT"),
        ("localhost:9464", {"PROMETHEUS_MULTIPROC_DIR": "x"}, "ADDRESS:PORT"),
        ("127.0.0.1:http", {"PROMETHEUS_MULTIPROC_DIR": "x"}, "ADDRESS:PORT"),
        ("127.0.0.1:99999", {"PROMETHEUS_MULTIPROC_DIR": "x"}, "ADDRESS:PORT"),
    ],
)
def test_an_address_that_cannot_be_used_says_why(
    address: str, variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PROMETHEUS_MULTIPROC_DIR", "BRANCHLINE_METRICS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=said):
        open_server(address)


def test_a_taken_port_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ImproperlyConfigured, match="in use"):
        open_server(f"127.0.0.1:{taken.getsockname()[1]}")


#: What is alerted on: where a series appears only with its first count, Prometheus sees no increase.
FROM_THE_FIRST = [
    *(("branchline_takeovers_total", reason) for reason in ("dead", "overdue")),
    ("branchline_advances_total", "fenced"),
    ("branchline_runs_finished_total", "failed"),
    ("branchline_wake_ups_total", "failed"),
    ("branchline_undo_items_total", "stuck"),
    *(("branchline_fsck_faults_total", invariant.name) for invariant in INVARIANTS),
]


class Node:
    """A real worker node that shows its metrics."""

    def __init__(self, environment: dict[str, str], folder: Path, **more: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        variables = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "BRANCHLINE_METRICS_ADDRESS": self.address, **more}
        options = ChildOptions(environment={**environment, **variables}, folder=ROOT, output=subprocess.DEVNULL)
        self.process = start_child([sys.executable, "manage.py", "work", "--processes", "2"], options)

    def get(self, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"http://{self.address}{path}", method=method, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, ""
        except OSError:
            return 0, ""  # it is starting

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


@pytest.fixture
def house(transactional_db: None) -> House:
    return make_house()


def test_a_node_adds_up_its_processes(house: House, process_environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").write_bytes(b"")  # of an earlier life
    node = Node(process_environment, tmp_path)
    try:
        wait_until(lambda: node.get()[0] == 200, 60, "the node to answer")
        assert not (tmp_path / "counter_1.db").exists()
        first = samples(node.get()[1])
        assert {first.get(sample) for sample in FROM_THE_FIRST} == {0}
        version = house.publish(document([step("a"), step("b")], "a > b"))
        for _ in range(4):
            house.end_of(house.start(version), 60)

        def found() -> dict[tuple[str, str], float]:
            return samples(node.get()[1])

        wait_until(lambda: found().get(("branchline_runs_finished_total", "succeeded")) == 4, 20, "the keeper's count")
        assert found()["branchline_claimed_tokens_total", "default"] == 4
        assert found()["branchline_attempts_total", "transform"] == 8
        assert found()["branchline_commit_batch_size_sum", ""] == 8
        assert node.get("/other")[0] == 404
        assert node.get(method="POST")[0] == 405
    finally:
        node.stop()


def test_a_node_asks_for_the_token_that_was_set(
    house: House, process_environment: dict[str, str], tmp_path: Path
) -> None:
    node = Node(process_environment, tmp_path, BRANCHLINE_METRICS_TOKEN="s3cret")
    try:
        wait_until(lambda: node.get()[0] != 0, 60, "the node to answer")
        assert node.get()[0] == 404
        assert node.get(Authorization="Bearer wrong")[0] == 404
        assert node.get(Authorization="Bearer s3cret")[0] == 200
    finally:
        node.stop()
