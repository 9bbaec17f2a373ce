"""Faults that can always be stored: text that is Unicode without NUL, bounded; details that are JSON."""

from collections.abc import Mapping

from orchestrator.core.errors import BranchlineError, ExpressionFailed, JsonInvalid
from orchestrator.core.failure_path import PATH, from_outside, path_of
from orchestrator.core.json_text import check_json
from orchestrator.core.json_types import Json
from orchestrator.core.outcome import Fail, Retry, StepFault

LONGEST_MESSAGE = 2_000
#: With all that was said around it: containers and sub-workflows, in each other as deep as may be.
LONGEST_CHAIN = 16_000
LONGEST_CODE = 64
MOST_DETAILS = 16_000  #: bytes


def clean(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """The text without what PostgreSQL refuses (NUL, half surrogate pairs), cut."""
    kept = text.encode(errors="replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return kept if len(kept) <= longest else f"{kept[:longest]}..."


def fault(
    code: str, message: str, details: Mapping[str, Json] | None = None, *, longest: int = LONGEST_MESSAGE
) -> StepFault:
    """A fault made of whatever a handler or the outside said."""
    kept: Mapping[str, Json] = details or {}
    try:
        check_json(kept, max_bytes=MOST_DETAILS)
    except JsonInvalid as error:
        kept = {"dropped": error.message}
    return StepFault(code=clean(code, LONGEST_CODE) or "error", message=clean(message, longest), details=kept)


def passed_on(inner: StepFault, place: str) -> StepFault:
    """The fault of something inside, told from outside: by which way it came, then what it said, whole."""
    path = path_of(inner.details)
    message = from_outside(inner.message, path, place)
    return fault(inner.code, message, {**inner.details, PATH: [place, *path]}, longest=LONGEST_CHAIN)


def failed(error: BranchlineError) -> Fail:
    """A refusal with a code becomes a permanent failure with that code."""
    return Fail(fault(error.error_code, error.message, error.details))


def not_evaluated(error: ExpressionFailed, where: str = "", details: Mapping[str, Json] | None = None) -> Fail | Retry:
    """An expression or a script gave nothing: final, unless the same text may succeed next time."""
    why = fault(error.error_code, where + error.message, {**(details or {}), **error.details})
    return Retry(why) if error.is_passing else Fail(why)
