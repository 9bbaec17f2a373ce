"""A worker node's Django connections."""

from types import SimpleNamespace
from typing import Any

import pytest
from celery.fixups.django import DjangoWorkerFixup
from django.conf import settings
from django.db import connections

from orchestrator.project.celery import app
from orchestrator.project.node import without_pools


def test_celery_finds_no_pool_to_close_under_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"]["OPTIONS"], "pool", {"max_size": 2})
    closed: list[str] = []
    wrapper: Any = type(connections["default"])
    monkeypatch.setattr(wrapper, "close", lambda self: None)
    monkeypatch.setattr(wrapper, "close_pool", lambda self: closed.append(self.alias))
    celery = DjangoWorkerFixup(app)
    celery.worker = SimpleNamespace(pool_cls="prefork")
    celery.close_database()
    assert closed == ["default"], "Celery closes pools no more: `without_pools` can go"
    without_pools(settings.DATABASES)
    celery.close_database()
    assert closed == ["default"]
