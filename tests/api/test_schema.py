"""The OpenAPI schema: complete, and made without a warning."""

from typing import Any

from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
from drf_spectacular.generators import SchemaGenerator


def schema() -> dict[str, Any]:
    generator: Any = SchemaGenerator()  # untyped
    made: dict[str, Any] = generator.get_schema(request=None, public=True)
    return made


def test_it_is_made_without_warnings() -> None:
    reset_generator_stats()
    schema()
    assert not GENERATOR_STATS, "run manage.py spectacular to read them"


def test_every_operation_says_what_it_does_and_has_its_own_id() -> None:
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in schema()["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 30
    assert [name for name, operation in operations if not operation.get("description")] == []
    ids = [operation["operationId"] for _, operation in operations]
    assert len(ids) == len(set(ids))
