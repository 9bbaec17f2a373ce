"""For machines that look after this one: alive, able to serve, and numbers to draw."""

from functools import cache

import redis
from django.conf import settings
from django.core.cache import cache as stored
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu.exceptions import OperationalError
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from orchestrator.project.celery import app
from orchestrator.project.exposition import database_text, is_token, processes_text, token_of_machine
from orchestrator.project.running.migrations import migrations_missing


@never_cache
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """Alive: the process answers. Touches nothing else, so a slow database does not get it killed."""
    return HttpResponse("ok", content_type="text/plain")


@never_cache
@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Able to serve: database, its tables, broker and live messages. 503 names what is missing."""
    database = database_answers()
    parts = {"database": database, "migrations": database and is_migrated(), "broker": broker_answers(), "live": live()}
    return JsonResponse(parts, status=200 if all(parts.values()) else 503)


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


@cache
def seen_migrated() -> dict[str, bool]:
    """Tables are never taken away under a running process: once the answer is yes, it is kept here."""
    return {}


def is_migrated() -> bool:
    seen = seen_migrated()
    if not seen and not migrations_missing():
        seen["yes"] = True
    return bool(seen)


def broker_answers() -> bool:
    try:
        with app.connection_for_read() as broker:
            broker.ensure_connection(max_retries=1, timeout=2)
    except (OperationalError, OSError):
        return False
    return True


def live() -> bool:
    try:
        stored.get("readyz")
    except redis.RedisError:
        return False
    return True


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for callers on this machine or with the bearer token BRANCHLINE_METRICS_TOKEN."""
    if not may_read_metrics(request):
        return HttpResponse(status=404)
    return HttpResponse(processes_text() + database_text(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def may_read_metrics(request: HttpRequest) -> bool:
    if token_of_machine():
        return is_token(request.headers.get("Authorization", ""))
    # Through a proxy everybody seems to come from this machine.
    proxied = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return not settings.HTTPS and not proxied and request.META.get("REMOTE_ADDR") in {"127.0.0.1", "::1"}
