"""What can be told from the rows when the answer to a call was lost."""

from typing import Any

import pytest

from orchestrator.engine.lost_reply import answers_of

CHAIN = [{"t": 1, "e": 5, "n": 2}, {"t": 1, "e": 6, "n": 3}]


@pytest.mark.parametrize(
    ("present", "statuses", "again"),
    [
        ({"epoch": 5, "node": 2, "logged": []}, [], [5, 6]),  # nothing was done
        ({"epoch": 7, "node": 4, "logged": [2, 3]}, ["moved", "moved"], []),  # all was done
        ({"epoch": 7, "node": 2, "logged": []}, ["fenced", "fenced"], []),  # taken over, claimed again by this session
        ({"epoch": 7, "node": 9, "logged": []}, ["fenced", "fenced"], []),  # the same; somebody else moved it elsewhere
        (
            {"epoch": 7, "node": 9, "logged": [2]},
            ["fenced", "fenced"],
            [],
        ),  # the same; the first end was ours
        ({"epoch": 5, "node": 9, "logged": []}, ["fenced", "fenced"], []),  # made ahead, of a move that never came
        ({"epoch": 9, "node": 4, "logged": [2, 3]}, ["fenced", "fenced"], []),  # done, and taken over since
        (None, ["fenced", "fenced"], []),  # parked, or somebody else's
    ],
)
def test_the_place_of_a_token_tells_what_was_done(
    present: dict[str, Any] | None, statuses: list[str], again: list[int]
) -> None:
    rows, repeat = answers_of(CHAIN, {} if present is None else {1: {"token_id": 1, **present}})
    assert [row["status"] for row in rows] == statuses
    assert [row["epoch"] for row in rows if row["status"] == "moved"] == ([6, 7] if "moved" in statuses else [])
    assert [item["e"] for item in repeat] == again


@pytest.mark.parametrize(
    ("present", "statuses", "again"),
    [
        ({"epoch": 8, "node": 2, "logged": []}, ["fenced"], [8]),  # nothing was done
        ({"epoch": 9, "node": 3, "logged": [2]}, ["fenced", "moved"], []),  # the later one was done
        ({"epoch": 11, "node": 2, "logged": []}, ["fenced", "fenced"], []),  # both were taken over
    ],
)
def test_an_end_from_before_a_takeover_is_not_taken_for_the_later_one(
    present: dict[str, Any], statuses: list[str], again: list[int]
) -> None:
    items = [{"t": 1, "e": 5, "n": 2}, {"t": 1, "e": 8, "n": 2}]
    rows, repeat = answers_of(items, {1: {"token_id": 1, **present}})
    assert [row["status"] for row in rows] == statuses
    assert [item["e"] for item in repeat] == again
