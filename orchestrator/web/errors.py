"""What people see when something is refused or breaks; programs get the API's error shape instead."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

TITLES = {
    400: "This request cannot be read",
    403: "This is not open to you",
    404: "There is nothing here",
    409: "Somebody was faster",
    412: "This has changed in between",
    413: "This is too large",
    429: "Too many tries",
    500: "This failed on our side",
    503: "Branchline is not ready",
}
CODES = {400: "bad_request", 403: "forbidden", 404: "not_found", 500: "internal"}
ABSENT = "There is no such thing here, or you may not see it. Check the address and the workspace."


def error_page(request: HttpRequest, status: int, message: str, *, code: str = "") -> HttpResponse:
    """Answer with a page, or in JSON below /api/."""
    if request.path.startswith("/api/"):
        return JsonResponse(
            {"code": code or CODES.get(status, "error"), "message": message, "details": {}}, status=status
        )
    return render(
        request, "web/error.html", {"title": TITLES.get(status, TITLES[400]), "message": message}, status=status
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler404: the same words for what is absent and for what is hidden."""
    return error_page(request, 404, ABSENT)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler400."""
    return error_page(request, 400, "Something in the request is not acceptable. Go back and try again.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """handler403."""
    return error_page(request, 403, "You may not do this.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW: nothing was done; the page was too old or the request came from elsewhere."""
    message = "Nothing was done: this page was open too long, or another site sent the request. Reload and try again."
    return error_page(request, 403, message, code="csrf")


def failed(request: HttpRequest) -> HttpResponse:
    """handler500: the request id and nothing else. Uses no session, no database, no workspace."""
    request_id = getattr(request, "request_id", "")
    message = "This failed on our side. Give the request id to the administrator."
    if request.path.startswith("/api/"):
        body: dict[str, Any] = {"code": "internal", "message": message, "details": {"request_id": request_id}}
        return JsonResponse(body, status=500)
    context = {"title": TITLES[500], "message": message, "request_id": request_id}
    # Without the request: context processors may need what has just failed.
    return render(None, "web/failed.html", context, status=500)
