import pytest

from tests.queries.plans import begin_new_files


@pytest.fixture
def new_files(db: None) -> None:
    """Plans that depend on nothing but the test's own rows."""
    begin_new_files()
