"""The engine with one safeguard taken out. A harness that finds nothing under a mutant proves nothing without it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def mutated(name: str, *changes: tuple[str, str]) -> Iterator[None]:
    """Inside the block the database's function says something else wherever it said the first text of a pair."""
    original = mutant = _definition(name)
    for text, instead in changes:
        assert text in mutant, f"{name} does not say {text!r} any more: adapt the mutant"
        mutant = mutant.replace(text, instead)
    _run(mutant)
    try:
        yield
    finally:
        _run(original)


def _definition(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.pg_get_functiondef(%s::regproc)", [f"public.{name}"])
        return str(cursor.fetchone()[0])


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
