"""Numbers in a config. To Python `true` is 1; who wrote it into a drawing meant no number."""

from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

ValueT = TypeVar("ValueT")


def _no_flag(error: Literal["int_type", "float_type"]) -> Callable[[ValueT], ValueT]:
    def refuse(value: ValueT) -> ValueT:
        if isinstance(value, bool):
            raise PydanticKnownError(error)
        return value

    return refuse


WholeNumber = Annotated[int, BeforeValidator(_no_flag("int_type"))]
Number = Annotated[float, BeforeValidator(_no_flag("float_type"))]
# Not `WholeNumber | None`: the bounds of such a field would be missing in its form.
OptionalWholeNumber = Annotated[int | None, BeforeValidator(_no_flag("int_type"))]
OptionalNumber = Annotated[float | None, BeforeValidator(_no_flag("float_type"))]
