"""Short spellings of documents, and hypothesis strategies that make them up."""

from typing import Any

from hypothesis import strategies as st

from orchestrator.core.document import Document
from orchestrator.core.parse import parse_document


def step(key: str, kind: str = "transform", **fields: Any) -> dict[str, Any]:
    """One raw step."""
    return {"key": key, "name": key.title(), "kind": kind, "at": [0, 0], **fields}


def edge(text: str) -> dict[str, Any]:
    """ "a -> b" or "a.port -> b" as a raw edge."""
    source, target = text.split(" -> ")
    key, _, port = source.partition(".")
    return {"from": key, "to": target, **({"port": port} if port else {})}


def raw_document(steps: list[dict[str, Any]], edges: str = "", **fields: Any) -> dict[str, Any]:
    """A raw document; edges are separated by commas."""
    drawn = [edge(text.strip()) for text in edges.split(",") if text.strip()]
    return {"format": "branchline/1", "name": "Test", "steps": steps, "edges": drawn, **fields}


def document(steps: list[dict[str, Any]], edges: str = "", **fields: Any) -> Document:
    """The parsed form of `raw_document`."""
    return parse_document(raw_document(steps, edges, **fields))


def choose(key: str, *ports: str, mode: str = "exclusive") -> dict[str, Any]:
    """A choose step with these case ports."""
    return step(
        key, "choose", config={"mode": mode, "cases": [{"port": port, "when": {"$": "True"}} for port in ports]}
    )


keys = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
_texts = st.text("aB0_ .$'\"{}<>\\äß中😀\u202e", max_size=12)
_labels = _texts.filter(lambda text: bool(text.strip()))
_scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _texts
json_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3), max_leaves=8
)
_numbers = st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-1_000_000, 1_000_000)
_pairs = st.tuples(_numbers, _numbers).map(list)
durations = st.sampled_from(
    ["PT0S", "PT0.25S", "PT30S", "PT1M30S", "PT36H", "P1DT2H", "P2W", "PT1.5H", "P1DT0.000000001S"]
)
_retries = st.fixed_dictionaries(
    {},
    optional={
        "attempts": st.integers(1, 100),
        "first": durations,
        "factor": st.floats(1, 100),
        "cap": durations,
        "jitter": st.sampled_from(["full", "none"]),
        "budget": durations,
    },
)
_joins = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["all", "any", "quorum"]),
        "quorum": st.integers(-2, 9),
        "deadline": durations,
        "on_deadline": st.sampled_from(["proceed", "fail"]),
        "on_branch_failure": st.sampled_from(["abort", "finish", "continue"]),
        "tolerate": st.fixed_dictionaries(
            {}, optional={"count": st.integers(-2, 9), "percent": st.integers(-1, 101) | st.floats(-1, 101)}
        ),
        "late": st.sampled_from(["ignore", "cancel"]),
    },
)
_configs = st.dictionaries(_texts, json_values, max_size=3)
_steps = st.fixed_dictionaries(
    {
        "key": keys,
        "name": _labels,
        "kind": st.sampled_from(["call", "script", "transform", "merge", "choose", "nobody"]),
    },
    optional={
        "config": _configs,
        "at": _pairs,
        "parent": keys,
        "disabled": st.booleans(),
        "retry": _retries,
        "timeout": durations,
        "queue": keys,
        "undo": st.fixed_dictionaries({"kind": keys}, optional={"config": _configs}),
        "join": _joins,
        "note": _texts,
    },
)
_edges = st.fixed_dictionaries({"from": keys, "to": keys}, optional={"port": keys})
_regions = st.fixed_dictionaries(
    {"key": keys, "pattern": st.sampled_from(["sequence", "parallel", "event"]), "steps": st.lists(keys, max_size=3)},
    optional={"name": _texts},
)
_notes = st.fixed_dictionaries({"key": keys}, optional={"text": _texts, "at": _pairs, "size": _pairs})
_limits = st.fixed_dictionaries(
    {"limit": st.integers(1, 100_000)},
    optional={"key": json_values, "on_limit": st.sampled_from(["queue", "replace", "refuse"])},
)
raw_documents = st.fixed_dictionaries(
    {"format": st.just("branchline/1"), "name": _labels},
    optional={
        "input": _configs,
        "output": json_values,
        "settings": st.fixed_dictionaries(
            {},
            optional={
                "deadline": durations,
                "on_failure": st.sampled_from(["fail", "undo"]),
                "concurrency": _limits,
                "priority": st.integers(-100, 100),
            },
        ),
        "regions": st.lists(_regions, max_size=2),
        "steps": st.lists(_steps, max_size=5),
        "edges": st.lists(_edges, max_size=5),
        "notes": st.lists(_notes, max_size=2),
    },
)
