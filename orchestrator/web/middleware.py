"""Walls around every request and response. All of these are plain functions of one request: they hold no state."""

import re
import uuid
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import structlog
from django.http import HttpRequest, HttpResponse

from orchestrator.web.errors import error_page

Handler = Callable[[HttpRequest], HttpResponse]

GIVEN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")

#: No inline script or style anywhere, nothing from elsewhere, no frame around us, no form sent away.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
}


def request_id(get_response: Handler) -> Handler:
    """Name the request: `request.request_id`, in every log line, and back in X-Request-ID."""

    def named(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        name = given if GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        request.request_id = name  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=name):
            response = get_response(request)
        response["X-Request-ID"] = name
        return response

    return named


def security_headers(get_response: Handler) -> Handler:
    """Put the browser's walls on every response; a view may set a stricter header itself."""

    def walled(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return walled


def clean_text(get_response: Handler) -> Handler:
    """Refuse addresses that hold NUL or no UTF-8: PostgreSQL would refuse them late, as an error of ours."""

    def checked(request: HttpRequest) -> HttpResponse:
        # Django has decoded the path already, keeping what is no UTF-8 percent-encoded.
        if "\x00" not in request.path and readable(request.META.get("QUERY_STRING", "")):
            return get_response(request)
        return error_page(
            request, 400, "The address holds text that cannot be read. Write it anew.", code="text_invalid"
        )

    return checked


def readable(quoted: str) -> bool:
    """Whether percent-encoded text is UTF-8 without NUL (UTF-8 as read by Python holds no surrogates)."""
    try:
        return "\x00" not in unquote_to_bytes(quoted).decode("utf-8")
    except UnicodeDecodeError:
        return False
