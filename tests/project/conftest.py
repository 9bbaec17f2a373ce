"""Data folders that the embedded servers' own user can reach (pytest's are closed to others)."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PREFIX


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty data folder, removed afterwards."""
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    yield made / "data"
    shutil.rmtree(made, ignore_errors=True)
