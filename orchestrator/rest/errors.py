"""Every refusal of the API in one shape: {"code", "message", "details"}."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from orchestrator import audit
from orchestrator.core.errors import BranchlineError, Forbidden, JsonInvalid, NotFound
from orchestrator.policy import Denied

logger = structlog.get_logger(__name__)

#: The same for what does not exist and for what the caller may not know of.
ABSENT = "There is no such thing here, or you may not see it. Check the address and the workspace."
CODES: Mapping[type[exceptions.APIException], str] = {
    exceptions.ParseError: "json_invalid",
    exceptions.AuthenticationFailed: "unauthenticated",
    exceptions.NotAuthenticated: "unauthenticated",
    exceptions.PermissionDenied: "forbidden",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.NotAcceptable: "not_acceptable",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.Throttled: "throttled",
}


class CsrfFailed(exceptions.PermissionDenied):
    """An unsafe request with a session cookie but without the page's token."""


class TooLarge(BranchlineError):
    """The body is larger than this address takes."""

    code = "too_large"
    status = 413


class LengthRequired(BranchlineError):
    """A body of unknown length: it could not be refused before it was read."""

    code = "length_required"
    status = 411


def answer(status: int, code: str, message: str, details: Mapping[str, Any] | None = None) -> Response:
    """A response in the one error shape."""
    return Response({"code": code, "message": message, "details": dict(details or {})}, status=status)


def handle(error: Exception, context: Mapping[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER: turn whatever a view raised into the one error shape, and record denials."""
    set_rollback()
    if isinstance(error, BranchlineError):
        record_denial(error, context)
        return refused(error)
    if isinstance(error, (Http404, exceptions.NotFound)):
        return refused(NotFound(ABSENT))
    if isinstance(error, exceptions.ValidationError):
        return invalid(error)
    if isinstance(error, exceptions.APIException):
        return refused_by_framework(error)
    return refused_by_django(error, context)


def refused(error: BranchlineError) -> Response:
    status = 413 if isinstance(error, JsonInvalid) and error.error_code == "too_large" else error.status
    return answer(status, error.error_code, error.message, error.details)


def refused_by_framework(error: exceptions.APIException) -> Response:
    if isinstance(error, CsrfFailed):
        return answer(403, "csrf", "The CSRF token is missing or wrong. Send it as the header X-CSRFToken.")
    code = next((code for kind, code in CODES.items() if isinstance(error, kind)), "error")
    response = answer(error.status_code, code, str(error.detail))
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if (wait := getattr(error, "wait", None)) is not None:
        response["Retry-After"] = str(max(1, int(wait)))
    return response


def refused_by_django(error: Exception, context: Mapping[str, Any]) -> Response:
    if isinstance(error, PermissionDenied):
        return answer(403, "forbidden", "You may not do this.")
    if isinstance(error, RequestDataTooBig):
        return refused(TooLarge("The body is larger than this address takes."))
    if isinstance(error, SuspiciousOperation):
        return answer(400, "bad_request", "The request cannot be read.")
    return broken(error, context)


def broken(error: Exception, context: Mapping[str, Any]) -> Response:
    """Something of ours failed: say so without saying what, and leave the rest in the log under the same id."""
    request = context["request"]._request
    # The test client raises what it hears of here, so a 5xx cannot pass unnoticed.
    got_request_exception.send(sender=type(context["view"]), request=request)
    logger.error("request failed", exc_info=error, path=request.path)
    details = {"request_id": getattr(request, "request_id", "")}
    if isinstance(error, OperationalError):
        response = answer(503, "unavailable", "The database does not answer at the moment. Try again.", details)
        response["Retry-After"] = "2"
        return response
    return answer(500, "internal", "This failed on our side. Give the request id to the administrator.", details)


def record_denial(error: BranchlineError, context: Mapping[str, Any]) -> None:
    """Write a refusal that a service decided (self approval, last admin, ...) to the audit trail.

    Here and not in the service: there it would be rolled back together with the service's transaction.
    """
    actor = getattr(context["view"], "actor", None)
    if actor is None or not isinstance(error, Forbidden) or isinstance(error, Denied):
        return
    route = context["request"].resolver_match.view_name
    audit.record(actor, error.error_code, target=str(route), allowed=False, detail={"message": error.message})


def invalid(error: exceptions.ValidationError) -> Response:
    """`details` maps each field's path ("fields.0.key") to its complaints [{"code", "message"}]."""
    details: dict[str, list[dict[str, str]]] = {}
    collect(error.detail, "", details)
    codes = {entry["code"] for entries in details.values() for entry in entries}
    code = "unknown_field" if codes == {"unknown_field"} else "invalid"
    named = ", ".join(f'"{name}"' for name in list(details)[:5])
    return answer(400, code, f"Correct {named} and send it again.", details)


def collect(detail: Any, path: str, into: dict[str, list[dict[str, str]]]) -> None:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            collect(inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."), into)
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, (Mapping, list))
            collect(inner, f"{path}.{index}".lstrip(".") if nested else path, into)
    else:
        into.setdefault(path or "body", []).append({"code": detail.code, "message": str(detail)})
