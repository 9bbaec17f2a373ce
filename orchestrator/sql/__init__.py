"""The named SQL functions, one file per concern, each with the file that takes it away."""

from pathlib import Path

from django.db import migrations

FOLDER = Path(__file__).parent


def sql_files(*names: str) -> list[migrations.RunSQL]:
    """Migration operations that load `<name>.sql`, in order; reversed by `<name>_drop.sql`."""
    return [
        migrations.RunSQL((FOLDER / f"{name}.sql").read_text(), (FOLDER / f"{name}_drop.sql").read_text())
        for name in names
    ]
