"""What an expression reads inside containers: the item of a for-each, the turn of a repeat."""

from collections.abc import Mapping, Sequence

from orchestrator.api import Document, ExpressionFailed, Json, evaluate, references

FIRST_TURN = 1
REPEAT = "repeat"


def containers_around(document: Document, step: str) -> list[str]:
    """The keys of the containers that hold the step, the outermost first. A circle of parents is cut."""
    parents = {item.key: item.parent for item in document.steps}
    found: list[str] = []
    above = parents.get(step)
    while above is not None and above in parents and above not in found and above != step:
        found.append(above)
        above = parents[above]
    return found[::-1]


def inner_roots(document: Document, step: str, roots: Mapping[str, Json]) -> dict[str, Json]:
    """`item` and `index` of the first item, `turn` and `last` of the first turn; an inner container hides an outer."""
    steps = {item.key: item for item in document.steps}
    found: dict[str, Json] = {}
    own = [step] if step in steps and steps[step].kind == REPEAT else []
    # The condition of a repeat is asked between its turns, so it reads what the steps inside read.
    for key in [*containers_around(document, step), *own]:
        if steps[key].kind == "for_each":
            found |= {"item": _first_item(steps[key].config.get("items"), {**roots, **found}), "index": 0}
        elif steps[key].kind == REPEAT:
            found |= {"turn": FIRST_TURN, "last": None}
    return found


def read_by_containers(document: Document, step: str) -> set[str]:
    """The steps that the items of the containers around are made of."""
    steps = {item.key: item for item in document.steps}
    found: set[str] = set()
    for key in containers_around(document, step):
        for source in _sources(steps[key].config.get("items")):
            try:
                found |= {*references(source).steps}
            except ExpressionFailed:
                continue
    return found


def _sources(items: Json) -> list[str]:
    source = items.get("$") if isinstance(items, Mapping) else None
    return [source] if isinstance(source, str) else []


def _first_item(items: Json, roots: Mapping[str, Json]) -> Json:
    """The first of the items, null while nobody knows them: an unfinished expression must not hide the rest."""
    for source in _sources(items):
        try:
            items = evaluate(source, roots)
        except ExpressionFailed:
            return None
    return items[0] if isinstance(items, Sequence) and not isinstance(items, str) and items else None
