"""What a call of `branchline_advance` did whose answer was lost with the connection."""

from itertools import groupby
from typing import Any

from orchestrator.engine.database import Row

Item = dict[str, Any]


def answers_of(items: list[Item], present: dict[int, Row]) -> tuple[list[Row], list[Item]]:
    """The answers that can be told from where the tokens are, and the items that must be sent again.

    Args: `items` grouped by token, in order; `present` the tokens of these that are leased to this session now, with
    the nodes whose end it has logged.
    A call does all of one token's items or none. A token that was taken over may be ours again, through a new claim:
    then its epoch is two further at least, or it came there by steps of somebody else. Where a later claim's items are
    here as well, the earlier ones were fenced.
    """
    rows: list[Row] = []
    again: list[Item] = []
    for token, group in groupby(items, key=lambda item: int(item["t"])):
        older, mine = _last_chain(list(group))
        row = present.get(token)
        rows += [{"token_id": token, "status": "fenced"} for _ in older]
        if row is not None and _untouched(mine[0], row):
            again += mine
        elif row is not None and _all_done(mine, row):
            rows += [{**row, "status": "moved", "epoch": item["e"] + 1, "queues": None} for item in mine]
        else:
            rows += [{"token_id": token, "status": "fenced"} for _ in mine]
    return rows, again


def _last_chain(items: list[Item]) -> tuple[list[Item], list[Item]]:
    """The ends of one chain are numbered without a gap; what stands before a gap belongs to an earlier claim."""
    start = len(items) - 1
    while start and items[start - 1]["e"] + 1 == items[start]["e"]:
        start -= 1
    return items[:start], items[start:]


def _untouched(first: Item, row: Row) -> bool:
    return bool(row["epoch"] == first["e"] and first.get("n", row["node"]) == row["node"])


def _all_done(mine: list[Item], row: Row) -> bool:
    return bool(row["epoch"] == mine[-1]["e"] + 1 and all(item.get("n") in row["logged"] for item in mine))
