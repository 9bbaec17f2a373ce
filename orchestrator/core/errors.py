"""The error tree: a docstring for people, a code for machines, an HTTP status for the API."""

from collections.abc import Mapping
from typing import ClassVar

from orchestrator.core.json_types import Json


class BranchlineError(Exception):
    """Something was refused or failed in a way that has a name."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 400

    def __init__(self, message: str, *, code: str | None = None, details: Mapping[str, Json] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = code or self.code
        self.details: dict[str, Json] = dict(details or {})


class ExpressionFailed(BranchlineError):
    """An expression or a script could not be evaluated. Codes: expression_invalid, expression_failed,
    expression_timeout, expression_memory, comprehension_too_deep, sandbox_unavailable, outputs_too_large."""

    code = "expression_failed"

    @property
    def is_passing(self) -> bool:
        """Whether the same text may succeed next time: on an overloaded machine any text runs out of its time."""
        return self.error_code in ("expression_timeout", "sandbox_unavailable")


class ConfigInvalid(BranchlineError):
    """A step's evaluated config does not fit its kind."""

    code = "config_invalid"


class JsonInvalid(BranchlineError):
    """A text is not JSON that we accept. Codes: json_invalid, json_too_deep, text_invalid, too_large,
    outputs_too_large."""

    code = "json_invalid"


class DocumentInvalid(BranchlineError):
    """A document is not well-formed. `details.problems` names every spot."""

    code = "document_invalid"


class NotFound(BranchlineError):
    """No such thing in this workspace."""

    code = "not_found"
    status = 404


class Forbidden(BranchlineError):
    """A member without the role for this."""

    code = "forbidden"
    status = 403


class Conflict(BranchlineError):
    """The thing is not in a state that allows this."""

    code = "conflict"
    status = 409


class StaleRevision(BranchlineError):
    """Somebody else changed it in between."""

    code = "stale_revision"
    status = 412


class InputInvalid(BranchlineError):
    """A run's input does not fit the workflow's input schema."""

    code = "input_invalid"


class RunAlreadyClosed(Conflict):
    """This run has ended; nothing more can happen to it."""

    code = "run_closed"
