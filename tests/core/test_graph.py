from itertools import pairwise

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.graph import (
    Ancestors,
    components,
    cycles,
    dominators,
    reachable,
    reversed_graph,
    successors,
    topological_order,
)

LONG = 100_000
_nodes = [f"n{index}" for index in range(12)]
_links = st.lists(st.tuples(st.sampled_from(_nodes), st.sampled_from(_nodes)), max_size=30)


def _both(links: list[tuple[str, str]]) -> tuple[dict[str, list[str]], "nx.DiGraph[str]"]:
    oracle: nx.DiGraph[str] = nx.DiGraph(links)
    oracle.add_nodes_from(_nodes)
    return successors(_nodes, links), oracle


@given(_links)
def test_components_agree_with_networkx(links: list[tuple[str, str]]) -> None:
    graph, oracle = _both(links)
    ours = components(graph)
    assert sorted(sorted(part) for part in ours) == sorted(
        sorted(part) for part in nx.strongly_connected_components(oracle)
    )
    place = {node: index for index, part in enumerate(ours) for node in part}
    assert all(place[target] <= place[source] for source, target in links)


@given(_links)
def test_each_cycle_is_one_and_none_is_missed(links: list[tuple[str, str]]) -> None:
    graph, oracle = _both(links)
    found = cycles(graph)
    assert bool(found) == (not nx.is_directed_acyclic_graph(oracle))
    for cycle in found:
        assert len(set(cycle)) == len(cycle)
        assert all(target in graph[source] for source, target in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    knots = [part for part in nx.strongly_connected_components(oracle) if len(part) > 1 or set(part) & _loops(links)]
    assert len(found) == len(knots)


def _loops(links: list[tuple[str, str]]) -> set[str]:
    return {source for source, target in links if source == target}


@given(_links)
def test_ancestors_and_reach_agree_with_networkx(links: list[tuple[str, str]]) -> None:
    graph, oracle = _both(links)
    ancestors = Ancestors(graph)
    for node in _nodes:
        later = {other for other in _nodes if ancestors.leads_to(node, other)}
        assert later - {node} == nx.descendants(oracle, node)
        assert (node in later) == any(node in nx.descendants(oracle, nxt) | {nxt} for nxt in graph[node])
        assert reachable(graph, [node]) == nx.descendants(oracle, node) | {node}


@given(_links)
def test_order_is_topological_and_misses_only_what_follows_a_cycle(links: list[tuple[str, str]]) -> None:
    graph, _ = _both(links)
    order = topological_order(graph)
    place = {node: index for index, node in enumerate(order)}
    assert all(place[source] < place[target] for source, target in links if target in place)
    stuck = reachable(graph, [node for cycle in cycles(graph) for node in cycle])
    assert set(order) == set(_nodes) - stuck


@given(_links)
def test_dominators_agree_with_networkx(links: list[tuple[str, str]]) -> None:
    graph, oracle = _both([(source, target) for source, target in links if source < target])
    starts = [node for node in _nodes if not oracle.in_degree(node)]
    oracle.add_edges_from(("start", node) for node in starts)
    immediate = nx.immediate_dominators(oracle, "start")
    found = dominators(graph)
    for node in _nodes:
        chain, at = set(), node
        while at is not None and at != "start":
            chain.add(at)
            at = immediate[at]
        assert {other for index, other in enumerate(graph) if found[node] >> index & 1} == chain


def test_it_turns_arrows_round() -> None:
    assert reversed_graph({"a": ["b", "c"], "b": ["c"], "c": []}) == {"a": [], "b": ["a"], "c": ["a", "b"]}


def test_a_long_line_needs_no_recursion() -> None:
    names = [str(index) for index in range(LONG)]
    line = successors(names, pairwise(names))
    assert topological_order(line) == names
    assert len(components(line)) == LONG
    assert len(reachable(line, ["0"])) == LONG
    assert cycles(line) == []


def test_a_long_circle_needs_no_recursion() -> None:
    names = [str(index) for index in range(LONG)]
    circle = successors(names, zip(names, [*names[1:], "0"], strict=True))
    assert cycles(circle) == [names]
