"""Which events a run waits for: its waiting tokens are the subscriptions themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models.fields.json import KT

from orchestrator.core.states import TokenState
from orchestrator.models import Run, Token
from orchestrator.queries.captions import captions_of
from orchestrator.queries.drawing import drawing_of
from orchestrator.queries.topics import key_of, type_of

MOST_AWAITED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitedEvent:
    """A step that waits for an event. `key` None: of any key."""

    run: UUID
    step: str
    step_name: str
    scope: str | None
    type: str
    key: str | None
    until: datetime | None


def awaited_of_run(run: Run) -> Sequence[AwaitedEvent]:
    """The first hundred and one waits of a run, by step and place. The caller asked who may read them."""
    waiting = Token.objects.filter(run_id=run.pk, state=TokenState.WAITING, node__gte=0).annotate(
        topic=KT("waiting__topic")
    )
    rows = waiting.filter(topic__isnull=False).order_by("node", "scope_id", "pk")
    found = rows.values_list("node", "scope_id", "topic", "wake_at")[: MOST_AWAITED + 1]
    keys, captions = drawing_of(run.version_id).keys, captions_of(run.version_id)
    return [
        AwaitedEvent(
            run=run.pk,
            step=keys[node],
            step_name=captions[keys[node]].name,
            scope=str(scope) if scope else None,
            type=type_of(topic),
            key=key_of(topic),
            until=until,
        )
        for node, scope, topic, until in found
    ]
