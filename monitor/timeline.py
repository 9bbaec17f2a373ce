"""Where the bars of a timeline lie: time runs to the right, and long stretches in which nothing worked are folded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from monitor.words import duration_words
from orchestrator.api import Span

#: A stretch without work is folded when it is longer than this share of all work, and than this many seconds.
FOLD_SHARE = 0.25
FOLD_SECONDS = 1.0
FOLD_WIDTH = 4.0  # percent of the axis
MOST_FOLDED = 40.0  # percent of the axis, for all folds together
WAITED = {
    "human_task": "Waited for a person",
    "delay": "Waited for its time",
    "wait_event": "Waited for an event",
    "sub_workflow": "Waited for its run",
    "scope": "Waited for the steps inside",
    "repeat": "Waited for the steps inside",
}
ATTEMPT = {"attempt": "Attempt", "undo": "Undo, attempt"}
NARROWEST = 0.5  # percent: shorter bars could not be seen
LETTER = 0.8  # percent of an axis of 780 pixels: the words of the axis


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time and the stretch of the axis (percent) it is drawn on."""

    begun: float
    ended: float
    left: float
    right: float
    folded: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """Seconds since the run began -> percent of the width."""

    pieces: tuple[Piece, ...]

    def at(self, second: float) -> float:
        """Where a moment lies, in percent."""
        for piece in self.pieces:
            if second <= piece.ended:
                share = (max(second, piece.begun) - piece.begun) / ((piece.ended - piece.begun) or 1.0)
                return piece.left + share * (piece.right - piece.left)
        return 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One drawn bar; places are percent."""

    x: str
    width: str
    kind: str
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The bars of one step, or of its undo, in one scope."""

    key: str
    name: str
    scope: str | None
    state: str
    length: str
    undo: bool = False
    #: Of a for-each: how far its items are.
    items: str = ""
    bars: list[Bar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mark:
    """A word at a place of the axis."""

    x: str
    text: str
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything the page draws. `following`: the first lane of the next page."""

    lanes: tuple[Lane, ...]
    marks: tuple[Mark, ...]
    folds: tuple[Mark, ...]
    total: int = 0
    following: int | None = None


def make_axis(busy: Iterable[tuple[float, float]], end: float) -> Axis:
    """Lay out 0..`end` seconds so that stretches outside `busy` (begin, end) pairs fold when they are long."""
    stretches = _stretches(_merged(busy), end)
    work = sum(ended - begun for begun, ended, working in stretches if working)
    folded = [
        not working and ended - begun > max(work * FOLD_SHARE, FOLD_SECONDS) for begun, ended, working in stretches
    ]
    if all(folded):
        folded = [False] * len(folded)
    fold = min(FOLD_WIDTH, MOST_FOLDED / max(sum(folded), 1))
    open_time = sum(ended - begun for (begun, ended, _), hidden in zip(stretches, folded, strict=True) if not hidden)
    per_second = (100.0 - fold * sum(folded)) / (open_time or 1.0)
    pieces, left = [], 0.0
    for (begun, ended, _), hidden in zip(stretches, folded, strict=True):
        right = left + (fold if hidden else (ended - begun) * per_second)
        pieces.append(Piece(begun, ended, left, right, hidden))
        left = right
    return Axis(tuple(pieces))


def _merged(busy: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for begun, ended in sorted(busy):
        if merged and begun <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], ended)
        else:
            merged.append((begun, ended))
    return merged


def _stretches(merged: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float, bool]]:
    """0..end cut into working and idle stretches."""
    stretches, at = [], 0.0
    for begun, ended in merged:
        if begun > at:
            stretches.append((at, begun, False))
        stretches.append((max(begun, at), ended, True))
        at = max(at, ended)
    if end > at or not stretches:
        stretches.append((at, max(end, at + 0.001), False))
    return stretches


def lay_out(
    spans: Sequence[Span], *, start: datetime, end: datetime, names: dict[str, str], first: int = 0, most: int = 1_000
) -> Timeline:
    """Draw the spans of a run from its start to its end (or now). `names`: step key -> what people call it.

    Of all lanes `most` are drawn, from the one numbered `first`; the axis is that of the whole run.
    """

    def second(moment: datetime | None) -> float:
        return max(((moment or end) - start).total_seconds(), 0.0)

    whole = max([second(end), *(second(span.ended) for span in spans)])
    axis = make_axis([(second(span.begun), second(span.ended)) for span in spans if span.kind != "wait"], whole)
    lanes: dict[tuple[str, str | None, bool], list[Span]] = {}
    for span in spans:
        lanes.setdefault((span.key, span.scope, span.kind == "undo"), []).append(span)
    drawn = []
    for (key, scope, undo), own in islice(lanes.items(), first, first + most):
        length = duration_words(max(second(span.ended) for span in own) - min(second(span.begun) for span in own))
        items = next((span.progress.text for span in reversed(own) if span.progress), "")
        lane = Lane(key, names.get(key, key), scope, str(own[-1].state), length, undo, items)
        lane.bars.extend(_bar(axis, span, second(span.begun), second(span.ended)) for span in _back_to_front(own))
        drawn.append(lane)
    following = first + most if first + most < len(lanes) else None
    return Timeline(tuple(drawn), _marks(axis), _folds(axis), len(lanes), following)


def _back_to_front(spans: Sequence[Span]) -> list[Span]:
    # A wait, or a for-each, lasts over the attempts around it: it is drawn first, below them.
    return sorted(spans, key=lambda span: span.kind not in {"wait", "items"})


def _bar(axis: Axis, span: Span, begun: float, ended: float) -> Bar:
    left, right = axis.at(begun), axis.at(ended)
    left = min(left, 100.0 - NARROWEST)
    return Bar(
        x=f"{left:.2f}%",
        width=f"{max(right - left, NARROWEST):.2f}%",
        kind=span.kind,
        state=str(span.state).replace("_", "-"),
        title=f"{words(span)}, {duration_words(ended - begun)}, began after {duration_words(begun)}",
    )


def words(span: Span) -> str:
    """What a bar stands for."""
    if span.kind == "wait":
        return WAITED.get(span.waits_as, "Waited")
    told = str(span.state).replace("_", " ")
    return f"{span.progress.text}: {told}" if span.progress else f"{ATTEMPT[span.kind]} {span.attempt}: {told}"


def _marks(axis: Axis) -> tuple[Mark, ...]:
    """When each unfolded stretch begins and the last one ends; words that would overlap are left out."""
    end = Mark("100%", duration_words(axis.pieces[-1].ended), "end")
    marks, last = [], -20.0
    for piece in axis.pieces:
        text = duration_words(piece.begun) if piece.begun else "0"
        if not piece.folded and piece.left - last >= 12 and piece.left < 80 and text != end.text:
            marks.append(Mark(f"{piece.left:.2f}%", text))
            last = piece.left
    marks.append(end)
    return tuple(marks)


def _folds(axis: Axis) -> tuple[Mark, ...]:
    """Where time is folded, and how much; words that would overlap are left out."""
    marks: list[Mark] = []
    free = 0.0  # percent: up to here words stand
    for piece in axis.pieces:
        if piece.folded:
            middle, text = (piece.left + piece.right) / 2, f"{duration_words(piece.ended - piece.begun)} idle"
            half = len(text) * LETTER / 2
            fits = not marks or middle - half >= free
            marks.append(Mark(f"{middle:.2f}%", text if fits else "", "middle"))
            free = middle + half if fits else free
    return tuple(marks)
