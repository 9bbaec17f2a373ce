"""What is wrong with edges: dangling, doubled, from no such port, in a circle."""

from collections.abc import Iterator

from orchestrator.core.document import DEFAULT_PORT, FAILURE_PORTS, Edge
from orchestrator.core.drawing import Drawing
from orchestrator.core.fixes import removal, setting
from orchestrator.core.graph import cycles, reachable
from orchestrator.core.nearest import did_you_mean
from orchestrator.core.problem import Fix, Problem
from orchestrator.core.problems_containers import border_problem


def edge_problems(drawing: Drawing) -> Iterator[Problem]:
    """Problems of single edges, in document order."""
    seen: set[Edge] = set()
    for index, edge in enumerate(drawing.document.edges):
        remove = removal("Remove this edge", f"/edges/{index}")
        if edge in seen:
            message = f"{_named(drawing, edge)} is drawn twice. Remove one: a step gets one signal from each."
            yield _of(edge, "duplicate_edge", message, remove)
            continue
        seen.add(edge)
        yield from _end_problems(drawing, index, edge)
        if edge.source == edge.target:
            message = (
                f"Step {drawing.title(edge.source)} leads to itself. Remove the edge; to do a step again use its retry."
            )
            yield _of(edge, "self_edge", message, remove)
        yield from _port_problems(drawing, index, edge)
        if edge.source in drawing.steps and edge.target in drawing.steps:
            crossing = border_problem(drawing, edge.source, edge.target)
            if crossing is not None:
                yield _of(edge, "edge_crosses_border", f"{_named(drawing, edge)}: {crossing}.", remove)


def _named(drawing: Drawing, edge: Edge) -> str:
    port = "" if edge.port == DEFAULT_PORT else f' by "{edge.port}"'
    return f"The edge from {drawing.title(edge.source)}{port} to {drawing.title(edge.target)}"


def _of(edge: Edge, code: str, message: str, fix: Fix | None) -> Problem:
    return Problem(code=code, message=message, edge=(edge.source, edge.port, edge.target), fix=fix)


def _end_problems(drawing: Drawing, index: int, edge: Edge) -> Iterator[Problem]:
    for end, key in (("from", edge.source), ("to", edge.target)):
        if key in drawing.steps:
            continue
        close = drawing.guess(key, drawing.steps)
        missing = f'there is no step "{key}".{did_you_mean(close)}'
        message = f"{_named(drawing, edge)} hangs loose: {missing} Remove it or lead it on."
        fix = removal("Remove this edge", f"/edges/{index}")
        if close:
            fix = setting(f'Use "{close[0]}"', f"/edges/{index}/{end}", close[0])
        yield _of(edge, "unknown_step", message, fix)


def _port_problems(drawing: Drawing, index: int, edge: Edge) -> Iterator[Problem]:
    ports = drawing.ports.get(edge.source)
    if ports is None or edge.port in ports:
        return
    source = drawing.steps[edge.source]
    who = f'Step {source.title} of kind "{source.kind}"'
    if not ports:
        message = f"{who} ends here: nothing can follow it. Remove the edge."
    elif edge.port in FAILURE_PORTS:
        message = f'{who} has no "{edge.port}" port: it cannot end that way. Remove the edge.'
    else:
        known = ", ".join(f'"{port}"' for port in ports[:20])
        message = f'{who} has no port "{edge.port}". Use one of {known}.'
    close = drawing.guess(edge.port, ports)
    fix = removal("Remove this edge", f"/edges/{index}")
    if close:
        fix = setting(f'Use the port "{close[0]}"', f"/edges/{index}/port", close[0])
    yield _of(edge, "unknown_port", message, fix)


def cycle_problems(drawing: Drawing) -> Iterator[Problem]:
    """One concrete circle for each knot of the drawing, then the steps that only such a knot leads to."""
    found = cycles(drawing.graph)
    for cycle in found:
        closing = next(edge for edge in drawing.edges if (edge.source, edge.target) == (cycle[-1], cycle[0]))
        index = drawing.document.edges.index(closing)
        path = " -> ".join(drawing.title(key) for key in [*cycle[:20], cycle[0]])
        message = f"These steps wait for each other in a circle: {path}. Remove an edge, or use a repeat container."
        fix = removal(f"Remove the edge to {drawing.title(cycle[0])}", f"/edges/{index}")
        edge = (closing.source, closing.port, closing.target)
        yield Problem(code="cycle", message=message, step=cycle[0], edge=edge, fix=fix)
    yield from _unreachable(drawing)


def _unreachable(drawing: Drawing) -> Iterator[Problem]:
    starts = [key for key, sources in drawing.sources.items() if not sources]
    within = reachable(drawing.graph, starts)
    turning = {key for key in drawing.graph if drawing.ancestors.leads_to(key, key)}
    for key in drawing.graph:
        if key not in within and key not in turning:
            who = f"Step {drawing.title(key)}"
            message = f"{who} can never run: only a circle leads to it. Open the circle or draw another edge."
            yield Problem(code="unreachable_step", message=message, step=key)
