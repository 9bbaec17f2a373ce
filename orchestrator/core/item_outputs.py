"""The outputs of a for-each that are too large together to be one value: where they are, instead of what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self, overload

from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_types import MAX_OUTPUT_BYTES, Json, JsonObject

CODE = "outputs_too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutputs(Sequence[Json]):
    """A reference that stands for a list. Only a for-each reads it, piece by piece; all else is refused, with a way on.

    `run` and `block` are where the items' log rows stand, `exits` the last steps inside (node, key), `bytes` the size
    of all. `seen` is the snapshot (PostgreSQL's) in which the for-each ended: rows that came later are no part of it.
    """

    step: str
    run: str
    block: int
    total: int
    bytes: int
    seen: str
    exits: tuple[tuple[int, str], ...]

    @classmethod
    def from_json(cls, body: Any) -> Self:
        """What `as_json` has given."""
        return cls(**{**body, "exits": tuple((node, key) for node, key in body["exits"])})

    def as_json(self) -> dict[str, Json]:
        """The form in which it is stored."""
        exits: list[Json] = [[node, key] for node, key in self.exits]
        return {**self.shown(), "block": self.block, "seen": self.seen, "exits": exits}

    def shown(self) -> dict[str, Json]:
        """The form in which people and programs see it."""
        return {"step": self.step, "run": self.run, "total": self.total, "bytes": self.bytes}

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, at: int) -> NoReturn: ...
    @overload
    def __getitem__(self, at: slice) -> NoReturn: ...
    def __getitem__(self, at: int | slice) -> NoReturn:
        raise self.refusal()

    def refusal(self) -> ExpressionFailed:
        """Why it cannot be read as one value."""
        message = (
            f'The outputs of For each "{self.step}" ({self.total:,} items, {self.bytes:,} bytes) are too large to be '
            f"one value ({MAX_OUTPUT_BYTES:,} bytes are the most). Go through them with another For each whose "
            f"items are this output itself (steps.{self.step}, where it stands), or let the "
            "last step inside give less (a transform, say)."
        )
        details: dict[str, Json] = {"step": self.step, "items": self.total, "bytes": self.bytes}
        return ExpressionFailed(message, code=CODE, details={**details, "most": MAX_OUTPUT_BYTES})


def told(output: Json) -> dict[str, Json]:
    """An output as readers get it: the value, or in its place where it is."""
    if isinstance(output, ItemOutputs):
        return {"output": None, "outputs_of": output.shown()}
    return {"output": output, "outputs_of": None}


def refuse_inside(value: Json) -> None:
    """Raises `ExpressionFailed` when a value to be read is such a reference, or an object of outputs that holds one."""
    if isinstance(value, ItemOutputs):
        raise value.refusal()
    if isinstance(value, Mapping):
        for one in value.values():
            if isinstance(one, ItemOutputs):
                raise one.refusal()


def shown_items(config: JsonObject) -> JsonObject:
    """A for-each's config as it is logged: what its items are, where they are not there as values."""
    items = config.get("items")
    return {**config, "items": {"outputs_of": items.shown()}} if isinstance(items, ItemOutputs) else config
