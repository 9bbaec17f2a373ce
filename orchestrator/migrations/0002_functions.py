"""The engine's SQL: types, guards, storage settings and the named functions."""

from django.db import migrations

from orchestrator.sql import sql_files


class Migration(migrations.Migration):
    dependencies = [("orchestrator", "0001_tables")]

    operations = sql_files(
        "types", "guards", "storage", "in_hand", "drop_token", "limits", "end_run", "start", "queue_limits", "claim", "gates", "joins", "scopes", "undo", "carry", "advance", "control", "keeper", "decisions", "events", "retention"
    )
