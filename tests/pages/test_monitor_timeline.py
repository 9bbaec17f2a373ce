"""Where the timeline's bars lie, and the words for lengths of time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitor.timeline import lay_out, make_axis
from monitor.words import duration_words, size_words
from orchestrator.core.states import StepRunState
from orchestrator.queries.step_run import Progress
from orchestrator.queries.timeline import WAITING, Span

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 ms"),  # clocks of two hosts
        (0.0004, "0 ms"),
        (0.34, "340 ms"),
        (12.34, "12.3 s"),
        (59.96, "1 min"),  # never "60.0 s"
        (250, "4 min 10 s"),
        (3_600, "1 h"),
        (7_500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_length_of_time_in_words(seconds, words):
    assert duration_words(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(812, "812 B"), (14_200, "14 kB"), (2_100_000, "2.1 MB")])
def test_a_size_in_words(count, words):
    assert size_words(count) == words


def test_without_idle_time_the_axis_is_straight():
    axis = make_axis([(0, 5), (5, 10)], 10)
    assert [axis.at(second) for second in (0, 2.5, 10)] == [0, 25, 100]


def test_long_idle_time_is_folded_and_work_keeps_its_room():
    axis = make_axis([(0, 1), (3_601, 3_602)], 3_602)
    folded = [piece for piece in axis.pieces if piece.folded]
    assert len(folded) == 1
    assert folded[0].right - folded[0].left == pytest.approx(4)
    assert axis.at(1) == pytest.approx(48)
    assert axis.at(3_601) == pytest.approx(52)
    assert axis.at(3_602) == pytest.approx(100)


def test_short_gaps_stay_open():
    assert not any(piece.folded for piece in make_axis([(0, 10), (10.9, 20)], 20).pieces)


def test_many_folds_leave_most_of_the_room_to_work():
    busy = [(number * 100.0, number * 100.0 + 1) for number in range(50)]
    axis = make_axis(busy, 5_000)
    assert sum(piece.right - piece.left for piece in axis.pieces if piece.folded) <= 40.001
    places = [axis.at(second) for second in range(0, 5_000, 7)]
    assert places == sorted(places)  # time never runs back
    assert places[-1] <= 100


@pytest.mark.parametrize(("busy", "end"), [([], 0), ([], 100), ([(0, 0)], 0), ([(5, 5)], 5), ([(0, 1), (0, 1)], 1)])
def test_odd_runs_have_an_axis_too(busy, end):
    axis = make_axis(busy, end)
    assert 0 <= axis.at(0) <= axis.at(end) <= 100


def span(key, begun, ended, *, kind="attempt", state=StepRunState.SUCCEEDED, scope=None, attempt=1):
    moment = None if ended is None else START + timedelta(seconds=ended)
    return Span(
        key=key,
        scope=scope,
        kind=kind,
        attempt=attempt,
        state=state,
        begun=START + timedelta(seconds=begun),
        ended=moment,
    )


def test_each_step_has_a_lane_and_each_attempt_a_bar():
    spans = [
        span("a", 0, 1),
        span("b", 1, 2, state=StepRunState.FAILED),
        span("b", 3, 4, attempt=2),
        span("c", 0, 1, scope="7"),
    ]
    drawn = lay_out(spans, start=START, end=START + timedelta(seconds=4), names={"a": "Reserve stock"})
    assert [(lane.name, lane.scope, len(lane.bars)) for lane in drawn.lanes] == [
        ("Reserve stock", None, 1),
        ("b", None, 2),
        ("c", "7", 1),
    ]
    assert drawn.lanes[1].bars[0].title.startswith("Attempt 1: failed, 1.0 s")
    assert drawn.lanes[1].length == "3.0 s"


def test_what_still_runs_reaches_to_now_and_the_shortest_bar_is_seen():
    drawn = lay_out(
        [span("a", 0, 0.00001), span("b", 0, None, state=StepRunState.RUNNING)],
        start=START,
        end=START + timedelta(seconds=10),
        names={},
    )
    assert drawn.lanes[0].bars[0].width == "0.50%"
    assert drawn.lanes[1].bars[0].width == "100.00%"


def test_a_wait_is_drawn_below_its_attempts():
    drawn = lay_out(
        [span("a", 0, 1), span("a", 1, 3_000, kind="wait", state=StepRunState.WAITING)],
        start=START,
        end=START + timedelta(seconds=3_001),
        names={},
    )
    assert [bar.kind for bar in drawn.lanes[0].bars] == ["wait", "attempt"]
    assert len(drawn.folds) == 1


def test_words_of_folds_that_would_overlap_are_left_out():
    worked = ((0, 1), (300, 301), (600, 690), (601_000, 601_090))
    spans = [span("a", *one) for one in worked]
    drawn = lay_out(spans, start=START, end=START + timedelta(seconds=worked[-1][1]), names={})
    assert [fold.text for fold in drawn.folds] == ["4 min 59 s idle", "", "6 d 22 h idle"]


@pytest.mark.parametrize("kind", sorted(WAITING))
def test_a_wait_says_what_for(kind):
    wait = replace(span("a", 0, 3_000, kind="wait", state=StepRunState.WAITING), waits_as=kind)
    drawn = lay_out([wait], start=START, end=START + timedelta(seconds=3_001), names={})
    assert drawn.lanes[0].bars[0].title.startswith("Waited for ")


def test_a_for_each_is_one_bar_that_says_how_far_it_is():
    progress = Progress(total=1_000, ok=993, failed=2)
    items = replace(span("each", 0, 8, kind="items"), progress=progress)
    drawn = lay_out([items, span("each", 1, 2)], start=START, end=START + timedelta(seconds=8), names={})
    (lane,) = drawn.lanes
    assert lane.items == "995 of 1,000 done, 2 failed"
    assert [bar.kind for bar in lane.bars] == ["items", "attempt"]
    assert lane.bars[0].title.startswith("995 of 1,000 done, 2 failed: succeeded, 8.0 s")


def test_lanes_come_by_pages_on_the_axis_of_the_whole_run():
    spans = [span(f"s{number}", number, number + 1) for number in range(5)]
    end = START + timedelta(seconds=5)
    whole = lay_out(spans, start=START, end=end, names={})
    page = lay_out(spans, start=START, end=end, names={}, first=2, most=2)
    assert page.lanes == whole.lanes[2:4]
    assert (page.marks, page.total, page.following) == (whole.marks, 5, 4)
    assert lay_out(spans, start=START, end=end, names={}, first=4, most=2).following is None
