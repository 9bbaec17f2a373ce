"""What load balancers, process managers and Prometheus ask."""

import pytest
from django.test import Client

from orchestrator.project import health


def test_it_is_alive_without_any_server(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_it_is_ready_when_all_parts_answer(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.json() == {"database": True, "migrations": True, "broker": True, "live": True}
    assert answer.status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("part", "function"),
    [("migrations", "is_migrated"), ("broker", "broker_answers"), ("live", "live")],
)
def test_it_names_the_missing_part(part: str, function: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, function, lambda: False)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert [name for name, there in answer.json().items() if not there] == [part]


@pytest.mark.django_db
def test_metrics_are_for_this_machine(client: Client) -> None:
    assert b"python_info" in client.get("/metrics").content
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 404
    # A proxy on this machine: the caller may be anybody.
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 404


@pytest.mark.django_db
def test_metrics_ask_for_the_token_that_was_set(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRANCHLINE_METRICS_TOKEN", "s3cret")
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 404
    answer = client.get("/metrics", headers={"Authorization": "Bearer s3cret"}, REMOTE_ADDR="192.0.2.1")
    assert answer.status_code == 200
