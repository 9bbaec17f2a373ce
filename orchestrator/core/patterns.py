"""Regular expressions of users, in a linear-time engine: no text can make one of them take exponential time.

The engine is Rust's `regex`, through `pydantic_core` (part of pydantic). It has no look-around and no back-references;
patterns with those are refused.
"""

from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from orchestrator.core.errors import BranchlineError

LONGEST_PATTERN = 500  #: characters


class PatternUnsupported(BranchlineError):
    """A regular expression that the linear-time engine does not take."""

    code = "pattern_unsupported"


def check_pattern(pattern: str) -> None:
    """Raise `PatternUnsupported` unless the pattern can be used."""
    _compiled(pattern)


def matches(pattern: str, text: str) -> bool:
    """True when the pattern is found anywhere in the text. Raises `PatternUnsupported`."""
    try:
        _compiled(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> SchemaValidator:
    if len(pattern) > LONGEST_PATTERN:
        message = f"The pattern has {len(pattern)} characters; at most {LONGEST_PATTERN} are allowed."
        raise PatternUnsupported(message)
    if not pattern.isprintable() and any("\ud800" <= character <= "\udfff" for character in pattern):
        raise PatternUnsupported("The pattern holds half of a surrogate pair, which is no character.")
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True))
    except SchemaError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("error: ").strip(" .")
        way_out = "Use no look-around, back-reference or huge count."
        raise PatternUnsupported(f'The pattern "{pattern[:80]}" cannot be used: {reason}. {way_out}') from None
