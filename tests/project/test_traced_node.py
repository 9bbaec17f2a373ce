"""A real worker node sends its spans to a collector, below the span of who started the run."""

from pathlib import Path

from opentelemetry.context import attach, detach
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from orchestrator.engine import tracing
from tests.chaos.node import node_at_work
from tests.engine.drawings import document, step
from tests.engine.house import make_house
from tests.project.test_telemetry import Collector, collector
from tests.waiting import wait_until

__all__ = ["collector"]  # a fixture

TRACE_ID, SENDER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def received(collector: Collector) -> dict[str, list[Span]]:
    """Spans by name."""
    found: dict[str, list[Span]] = {}
    for _, body in list(collector.bodies):
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found.setdefault(span.name, []).append(span)
    return found


def test_spans_of_a_node_lie_below_their_sender(
    collector: Collector, process_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = {
        **process_environment,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "NO_PROXY": "*",
    }
    house = make_house()
    steps = [step("one"), step("each", "for_each", config={"items": [1, 2]}), step("look", parent="each")]
    version = house.publish(document(steps, "one > each"), slug="orders")
    with node_at_work(environment, tmp_path / "node.log"):
        token = attach(tracing.came_with({"traceparent": f"00-{TRACE_ID}-{SENDER}-01"}))
        try:
            run_id = house.start(version)
        finally:
            detach(token)
        assert house.end_of(run_id).state == "succeeded"
        names = {"run orders", "step one", "attempt one", "step each", "step look", "attempt look"}
        wait_until(lambda: names <= received(collector).keys(), 20, "the spans to arrive")
        found = received(collector)
    assert {span.trace_id.hex() for spans in found.values() for span in spans} == {TRACE_ID}
    (run,), (one,) = found["run orders"], found["step one"]
    assert run.parent_span_id.hex() == SENDER
    assert one.parent_span_id == run.span_id
    assert found["attempt one"][0].parent_span_id == one.span_id
    assert {span.parent_span_id for span in found["attempt look"]} == {span.span_id for span in found["step look"]}
    assert len(found["attempt look"]) == 2
