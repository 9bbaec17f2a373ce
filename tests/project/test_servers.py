"""The servers the tests (and `up`) run on are real ones."""

import pytest
from django.core.cache import cache
from django.db import connection


@pytest.mark.django_db
def test_it_answers_as_an_ordinary_role() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('is_superuser')")
        version, superuser = cursor.fetchone()
    assert version >= 150000
    assert superuser == "off"


def test_it_caches_json_only(valkey: str) -> None:
    cache.set("answer", {"list": [1, None, "ü"]})
    assert cache.get("answer") == {"list": [1, None, "ü"]}
    cache.set("count", 1)
    assert cache.incr("count") == 2
    with pytest.raises(TypeError):
        cache.set("object", object())
