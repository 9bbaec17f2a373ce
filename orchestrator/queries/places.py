"""Where scopes stand, as people say it: "item 3, turn 2". The number of a scope tells its block and its place there."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from django.db import connection

from orchestrator.core.document import FOR_EACH, REPEAT
from orchestrator.models.scope import BLOCK
from orchestrator.queries.drawing import drawing_of

ScopeT = TypeVar("ScopeT", int, str)
#: What one of the scopes of a container is called; a scope's body is its only one.
CALLED = {FOR_EACH: "item", REPEAT: "turn"}

#: Each scope and those around it, the innermost first, by the primary key.
AROUND = f"""
WITH RECURSIVE around AS (
    SELECT a.scope AS asked, 0 AS depth, a.scope FROM unnest(%(scopes)s::bigint[]) a(scope)
    UNION ALL
    SELECT o.asked, o.depth + 1, s.parent FROM around o JOIN orchestrator_scope s ON s.id = o.scope & -{BLOCK}
    WHERE s.parent <> 0
)
SELECT o.asked, o.scope, o.scope - s.id, s.node, r.version_id
FROM around o JOIN orchestrator_scope s ON s.id = o.scope & -{BLOCK} JOIN orchestrator_run r ON r.id = s.run_id
ORDER BY o.asked, o.depth
"""


def place_words(scopes: Iterable[ScopeT | None], *, within: int | None = None) -> Mapping[ScopeT, str]:
    """Scope -> its place, the outermost container first; of any runs. Plain scopes are not told, nor what is gone.

    `within`: places are told from this scope on, which is named already. One statement, none without a scope.
    """
    asked = {int(scope): scope for scope in scopes if scope}
    if not asked:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(AROUND, {"scopes": list(asked)})
        rows = cursor.fetchall()
    found: dict[int, list[str]] = {}
    named: set[int] = set()
    for scope, around, number, node, version in rows:
        if around == within or scope in named:
            named.add(scope)
            continue
        kinds = drawing_of(version).kinds
        word = CALLED.get(kinds[node]) if node < len(kinds) else None  # a newer version may have fewer steps
        if word:
            found.setdefault(scope, []).insert(0, f"{word} {number:,}")
    return {asked[scope]: ", ".join(words) for scope, words in found.items()}
