"""Why an HTTP request that a step made has no answer. Messages name neither the address found nor what it said."""

from orchestrator.core.errors import BranchlineError


class HttpError(BranchlineError):
    """The request has no answer."""

    code = "http_failed"
    status = 502


class EgressBlocked(HttpError):
    """The gate does not let this request out. Codes: egress_blocked, url_scheme, url_port, url_invalid."""

    code = "egress_blocked"
    status = 400


class ResponseTooLarge(HttpError):
    """The answer has more bytes or headers than are taken."""

    code = "response_too_large"


class DeadlineExceeded(HttpError):
    """The whole answer was not there in time."""

    code = "deadline"
    status = 504


class ConnectionFailed(HttpError):
    """The other side cannot be reached, or broke off."""

    code = "connection_failed"
