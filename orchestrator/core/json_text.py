"""The one JSON entry point: what comes in is parsed here, what handlers return is checked here.

Numbers: integers of any size up to 4,300 digits are kept exactly (PostgreSQL's jsonb keeps them too); a float that
overflows to infinity is refused. Duplicate keys are refused because two readers may disagree about which one counts.
"""

import json
import re
from itertools import accumulate
from typing import Any, NoReturn

from orchestrator.core.errors import JsonInvalid
from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_types import MAX_OUTPUT_BYTES, Json

MAX_BYTES = 1_000_000
MAX_DEPTH = 64

# An unterminated string matches up to the end, so that every byte is looked at once: no quadratic input exists.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_NOT_A_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# An odd number of backslashes before "u0000": an escape, not the text "\u0000" behind an escaped backslash.
_NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*+\\u0000")


def parse_json(data: bytes | str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """Parse JSON that somebody else wrote.

    Args: `max_bytes` of UTF-8, `max_depth` of nested lists and objects.
    Raises `JsonInvalid` with code json_invalid, json_too_deep, text_invalid, too_large or out_of_range.
    """
    raw = _as_bytes(data)
    if len(raw) > max_bytes:
        raise JsonInvalid(
            f"The JSON text has {len(raw):,} bytes; at most {max_bytes:,} are accepted.", code="too_large"
        )
    if raw.startswith(b"\xef\xbb\xbf"):
        raise JsonInvalid("The JSON text starts with a byte order mark. Send it without one.")
    if b"\x00" in raw:
        raise _nul()
    if json_depth(raw, enough=max_depth) > max_depth:
        raise JsonInvalid(f"The JSON text nests deeper than {max_depth} levels.", code="json_too_deep")
    value = _loads(_as_text(raw))
    _refuse_poison_escapes(raw, value)
    return value


def check_json(value: object, *, max_bytes: int = MAX_OUTPUT_BYTES, max_depth: int = MAX_DEPTH) -> str:
    """Return a value that our own code made as compact JSON text (tuples become lists, number keys become text).

    Raises `JsonInvalid` with code json_invalid, json_too_deep, text_invalid, too_large, out_of_range or
    outputs_too_large.
    """
    text = _dumps(value)
    raw = _as_bytes(text)
    if len(raw) > max_bytes:
        raise JsonInvalid(
            f"The value has {len(raw):,} bytes as JSON; at most {max_bytes:,} are kept.", code="too_large"
        )
    if "\\u0000" in text and _NUL_ESCAPE.search(text):
        raise _nul()
    if json_depth(raw, enough=max_depth) > max_depth:
        raise JsonInvalid(f"The value nests deeper than {max_depth} levels.", code="json_too_deep")
    return text


def json_depth(raw: bytes, *, enough: int = 0) -> int:
    """How deep the brackets nest outside strings, without parsing; `enough` or less when that is plain from a count."""
    opening = raw.count(b"[") + raw.count(b"{")
    if opening <= enough:
        return opening
    brackets = _STRING.sub(b"", raw).translate(None, _NOT_A_BRACKET)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _as_bytes(data: bytes | str) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        return data.encode()
    except UnicodeEncodeError as error:
        raise _surrogate() from error


def _as_text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise JsonInvalid(f"Byte {error.start} of the JSON text is not UTF-8.", code="text_invalid") from error


def _loads(text: str) -> Json:
    try:
        value: Json = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        message = f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise JsonInvalid(message) from error
    except RecursionError as error:
        raise JsonInvalid("The JSON text nests too deep.", code="json_too_deep") from error
    except ValueError as error:  # int() refuses more than 4,300 digits
        raise JsonInvalid("A number in the JSON text has more than 4,300 digits.", code="out_of_range") from error
    return value


def _refuse_poison_escapes(raw: bytes, value: Json) -> None:
    """PostgreSQL refuses NUL and half surrogate pairs, late and with a less helpful message."""
    if b"\\u" not in raw:
        return
    if b"\\u0000" in raw and _NUL_ESCAPE.search(raw.decode()):
        raise _nul()
    if b"\\ud" in raw or b"\\uD" in raw:
        _as_bytes(_ENCODER.encode(value))


def _dumps(value: object) -> str:
    try:
        return _ENCODER.encode(value)
    except RecursionError as error:
        raise JsonInvalid("The value nests too deep.", code="json_too_deep") from error
    except TypeError as error:
        raise JsonInvalid(f"The value is not JSON: {error}. Return text, numbers, lists and dicts.") from error
    except ValueError as error:
        raise _not_encodable(error) from error


def _not_json(value: object) -> NoReturn:
    if isinstance(value, ItemOutputs):
        refusal = value.refusal()
        raise JsonInvalid(refusal.message, code=refusal.error_code, details=refusal.details)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _not_encodable(error: ValueError) -> JsonInvalid:
    if "Circular" in str(error):
        return JsonInvalid("The value contains itself.")
    if "digits" in str(error):
        return JsonInvalid("A number in the value has more than 4,300 digits.", code="out_of_range")
    return JsonInvalid("A number in the value is not finite (NaN or Infinity).", code="out_of_range")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise JsonInvalid(f"The key {key[:80]!r} occurs twice in one object.")
        seen.add(key)
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise JsonInvalid(f"The number {digits[:40]} is too large.", code="out_of_range")
    return number


def _no_constant(name: str) -> NoReturn:
    raise JsonInvalid(f"{name} is not a JSON number.", code="out_of_range")


def _nul() -> JsonInvalid:
    return JsonInvalid("A text contains the NUL character (\\u0000), which cannot be stored.", code="text_invalid")


def _surrogate() -> JsonInvalid:
    return JsonInvalid("A text contains half of a surrogate pair, which is not Unicode text.", code="text_invalid")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_not_json)
