"""All rows of runs and workers: one number for them, and a clean table."""

from functools import cache

from orchestrator.engine.database import Connection

#: Every table that holds something of a run, and the workers' sessions; found, so that new tables are not forgotten.
RUN_TABLES = """
SELECT DISTINCT c.table_name AS name FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.table_name LIKE 'orchestrator\\_%'
  AND (c.column_name = 'run_id' OR c.table_name IN ('orchestrator_run', 'orchestrator_worker_session',
       'orchestrator_decision', 'orchestrator_event'))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.table_name::regclass)
ORDER BY 1
"""
_tables: list[str] = []


def tables(opened: Connection) -> list[str]:
    """Their names, in order."""
    if not _tables:
        _tables.extend(row["name"] for row in opened.execute(RUN_TABLES).fetchall())
    return _tables


@cache
def _picture(names: tuple[str, ...]) -> str:
    parts = [f"(SELECT coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {name} t)" for name in names]
    return f"SELECT ARRAY[{', '.join(parts)}]::text[] AS picture"


def picture(opened: Connection) -> dict[str, str]:
    """A number for each table that changes when any of its rows does (I5)."""
    names = tables(opened)
    row = opened.execute(_picture(tuple(names)).encode()).fetchone()
    assert row is not None
    return dict(zip(names, row["picture"], strict=True))


def clean(opened: Connection) -> None:
    """Forget all runs and workers."""
    statements = [f"DELETE FROM {name};" for name in sorted(tables(opened), key=lambda name: name.endswith("_run"))]
    opened.execute("".join(statements).encode(), prepare=False)
