"""What JSON can hold, as a type."""

from collections.abc import Mapping, Sequence

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
JsonObject = Mapping[str, Json]

#: Bytes of JSON that one value may have.
MAX_OUTPUT_BYTES = 8_000_000
