"""Who draws workflows in the designer's pages."""

import pytest
from django.test import Client

from tests.designer_cast import Cast
from tests.pages.designer_pages import signed_in


@pytest.fixture
def cast(valkey: str) -> Cast:
    return Cast("demo")


@pytest.fixture
def browser(cast: Cast) -> Client:
    return signed_in(cast, cast.editor)
