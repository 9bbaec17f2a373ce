"""The migrations backwards: what the SQL files make, their `_drop` files take away, on a database of its own."""

import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from orchestrator.engine.database import connection_arguments
from orchestrator.sql import FOLDER
from tests.project.up_process import ROOT
from tests.servers import child_environment

#: Everything of ours that stands in the schema, in a spelling that can be compared.
CATALOG = """
SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION ALL SELECT 'type ' || t.typname FROM pg_type t
    WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('c', 'e', 'd')
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT t.tgisinternal
UNION ALL SELECT 'relation ' || c.relkind::text || ' ' || c.relname || coalesce(array_to_string(c.reloptions, ','), '')
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
UNION ALL SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || coalesce(column_default, '')
    FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
"""
OURS = ("branchline_", "orchestrator_", "designer_")


@pytest.fixture
def fresh(db: None) -> Iterator[str]:
    """The name of an empty database."""
    name = f"migrated_{uuid4().hex[:8]}"
    with psycopg.connect(**connection_arguments(), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        yield name
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def migrate(name: str, *target: str) -> set[str]:
    """Migrate that database, and tell what stands in it then."""
    environment = child_environment()
    own = connection.settings_dict["NAME"]
    environment["DATABASE_URL"] = environment["DATABASE_URL"].replace(f"/{own}?", f"/{name}?")
    command = [sys.executable, "manage.py", "migrate", *target, "--no-input", "--verbosity", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(**{**connection_arguments(), "dbname": name}) as opened:
        return {text for (text,) in opened.execute(CATALOG)}


def ours(catalog: set[str]) -> set[str]:
    return {text for text in catalog if any(name in text for name in OURS)}


def test_everything_is_taken_away_and_made_again(fresh: str) -> None:
    made = migrate(fresh)
    assert any(text.startswith("function") and "branchline_advance" in text for text in made)
    gone = ours(migrate(fresh, "orchestrator", "zero"))
    assert gone == set()
    assert migrate(fresh) == made


def test_every_sql_file_has_the_one_that_takes_it_away() -> None:
    names = {path.stem for path in FOLDER.glob("*.sql")}
    assert {f"{name}_drop" for name in names if not name.endswith("_drop")} == {n for n in names if n.endswith("_drop")}
