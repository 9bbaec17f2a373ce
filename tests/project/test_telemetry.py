"""Traces are sent where the standard variables say, and nowhere without them."""

import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured

from orchestrator.engine import tracing
from orchestrator.project import telemetry


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, ""),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, ""),
    ],
)
def test_the_standard_variables_decide(variables, name):
    assert telemetry.exporter_named(variables) == name


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_EXPORTER": "jaeger"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_what_is_not_spoken_stops_the_start(variables):
    with pytest.raises(ImproperlyConfigured, match="Branchline"):
        telemetry.exporter_named(variables)


def test_a_missing_extra_names_the_way_out(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.delitem(sys.modules, "orchestrator.project.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(ImproperlyConfigured, match=r"\.ci/python tracing"):
        telemetry.prepare()


class Collector(HTTPServer):
    """Keeps what exporters post."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Post)
        self.bodies: list[tuple[str, bytes]] = []


class Post(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_the_collector_by_otlp(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("NO_PROXY", "*")
    # A provider for all can be set once in a process, and never taken back.
    monkeypatch.setattr("orchestrator.project.spans.offer_to_handlers", lambda provider: None)
    telemetry.prepare()
    telemetry.start()
    try:
        assert tracing.is_recording()
        run_trace = tracing.trace_of(uuid4(), None)
        assert run_trace is not None
        at = datetime(2026, 3, 1, tzinfo=UTC)
        tracing.record(run_trace.span, None, tracing.Ended(name="run orders", began=at, ended=at, attributes={}))
    finally:
        telemetry.stop()
    ((path, body),) = collector.bodies
    assert path == "/v1/traces"
    assert b"run orders" in body
    assert run_trace.span.span_id.to_bytes(8, "big") in body
    assert run_trace.span.trace_id.to_bytes(16, "big") in body
    assert b"branchline" in body
    assert not tracing.is_recording()


def test_nothing_is_recorded_without_them(monkeypatch):
    for name in (*telemetry.ENDPOINTS, "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    telemetry.prepare()
    telemetry.start()
    assert not tracing.is_recording()
