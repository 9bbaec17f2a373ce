"""How a registered function says that it failed."""

from collections.abc import Mapping

from orchestrator.core.json_types import Json


class Transient(Exception):
    """Trying again may help. `after`: seconds that the other side asks to wait."""

    def __init__(self, message: str = "", *, after: float | None = None, code: str = "transient") -> None:
        super().__init__(message)
        self.message = message or "The function asked to be tried again."
        self.after = after
        self.code = code


class Permanent(Exception):
    """A business error: never retried, follows the `error` port, where `errors.<key>.code` can be read."""

    def __init__(self, code: str, message: str = "", details: Mapping[str, Json] | None = None) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message or code
        self.details = dict(details or {})
