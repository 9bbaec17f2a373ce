"""Bring the database to this version's tables, and do nothing when it is there already."""

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

# Any number, the same in every process: two starts on one database migrate one after the other.
LOCK = 0x6272616E


def migrations_missing() -> bool:
    """Whether a migration of this version has not been applied."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def migrate_when_needed() -> bool:
    """Apply what is missing; answer whether anything was. Waits for another process that is migrating."""
    if not migrations_missing():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        call_command("migrate", interactive=False, verbosity=0)
        # After an error the connection, and the lock with it, ends with this process.
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    return True
