"""Columns of our own."""

import json

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.types.json import Json as JsonText

from orchestrator.core.json_types import Json


class DrawnJSONField(models.JSONField):
    """JSON as a person wrote it: the order of keys is kept (type `json`; `jsonb` sorts them).

    For drawings, whose order people see: the fields of a start form, the headers of a request. Not for filtering.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "json"

    def get_db_prep_value(self, value: Json, connection: BaseDatabaseWrapper, prepared: bool = False) -> object:  # noqa: FBT001, FBT002  Django decides
        if value is None:
            return None
        return JsonText(value, dumps=_dumps)

    def from_db_value(self, value: Json, expression: object, connection: BaseDatabaseWrapper) -> Json:
        # psycopg reads this type itself (Django switches that off for jsonb only).
        return value


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
