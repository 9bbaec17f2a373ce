"""Runs as an actor may see them: lists with filters, and one run with its data."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, Exists, Func, OuterRef, Q, QuerySet

from orchestrator.core.errors import NotFound
from orchestrator.core.item_outputs import ItemOutputs, told
from orchestrator.core.json_types import Json
from orchestrator.core.states import RunState
from orchestrator.core.undo import NEEDS_PERSON
from orchestrator.models import Payload, Run, UndoItem, Version, Workflow
from orchestrator.models.run import RunQuerySet
from orchestrator.policy import Action, Actor, may, narrowed
from orchestrator.queries.cursor import Page, page_of
from orchestrator.queries.family import RunParent, parent_in
from orchestrator.queries.step_run import rfc3339
from orchestrator.queries.tasks import tasks_for_actor

#: Of a read: whatever commits later was written by this transaction or a later one.
POSITION = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
WITH_ERROR = (RunState.FAILED, RunState.CANCELLED, RunState.UNDOING, RunState.UNDONE, RunState.UNDO_STUCK)
MOST_STUCK = 1_000  # runs with a stuck undo that a filter finds beside those in that state, the newest
ABSENT_RUN = "No such run in this workspace."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run in a list."""

    id: UUID
    workflow: str
    workflow_name: str
    version: int
    state: str
    started_at: datetime
    finished_at: datetime | None
    correlation_id: str
    business_key: str | None
    error: Mapping[str, Json] | None
    trigger: str
    started_by: str | None
    #: A step of it could not be undone and waits for a person, whether the run is still open or not.
    undo_stuck: bool
    #: The position of this read: what changed later has the same or a higher one.
    seq: int

    def as_json(self) -> dict[str, Json]:
        """The RunView of the API."""
        return {
            "id": str(self.id),
            "workflow": self.workflow,
            "workflow_name": self.workflow_name,
            "version": self.version,
            "state": self.state,
            "started_at": rfc3339(self.started_at),
            "finished_at": rfc3339(self.finished_at),
            "correlation_id": self.correlation_id,
            "business_key": self.business_key,
            "error": self.error,
            "trigger": self.trigger,
            "started_by": self.started_by,
            "undo_stuck": self.undo_stuck,
            "seq": self.seq,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """One run with what it was given and what it gave. Both None when the actor may not read run data.

    `output` is an `ItemOutputs` where it is too large to be one value.
    """

    run: RunView
    input: Json = None
    output: Json = None
    data_shown: bool = True
    #: Of a run of a sub-workflow.
    parent: RunParent | None = None

    def as_json(self) -> dict[str, Json]:
        data = {"input": self.input, **told(self.output), "data_shown": self.data_shown}
        return {**self.run.as_json(), "parent": self.parent.as_json() if self.parent else None, **data}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """What a list of runs is narrowed to; every empty field admits all."""

    workflow: str = ""
    version: int | None = None
    states: Collection[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    correlation_id: str = ""
    business_key: str = ""
    #: The code of the failure that the run ended with.
    error: str = ""
    #: Correlation id, business key or the run's own id, whichever it is.
    any_key: str = ""
    #: The code of the failure, or a part of its message.
    error_text: str = ""

    def condition(self) -> Q:
        """The filter as a condition on runs."""
        wanted = {
            "workflow__slug": self.workflow,
            "version__number": self.version,
            "correlation_id": self.correlation_id,
            "business_key": self.business_key,
            "error__code": self.error,
        }
        condition = Q(**{name: value for name, value in wanted.items() if value not in {"", None}})
        if self.error and not self.states:
            # Lets run_by_state serve it: only these have an error.
            condition &= Q(state__in=WITH_ERROR)
        if self.states:
            wanted_states = Q(state__in=sorted(self.states))
            # A scope's undo can be stuck while its run is open: it is found with the others.
            condition &= wanted_states | Q(pk__in=_stuck()) if RunState.UNDO_STUCK in self.states else wanted_states
        condition &= self._loose()
        # The id is a UUIDv7, its order that of starting: run_by_workspace serves the time too.
        if self.since:
            condition &= Q(pk__gte=first_id(self.since))
        return condition & Q(pk__lt=first_id(self.until)) if self.until else condition

    def _loose(self) -> Q:
        """What a person types without saying which field it is in."""
        condition = Q()
        if self.any_key:
            condition &= Q(correlation_id=self.any_key) | Q(business_key=self.any_key) | _own_id(self.any_key)
        if self.error_text:
            condition &= Q(error__code=self.error_text) | Q(error__message__icontains=self.error_text)
            if not self.states:
                condition &= Q(state__in=WITH_ERROR)
        return condition


def undo_is_stuck() -> Q:
    """Runs with a step whose undo waits for a person, whether they have ended or not."""
    return Q(pk__in=_stuck_lines().values("run_id"))


def _stuck() -> list[UUID]:
    # Their ids, written out: beside another condition a subquery would keep the runs from being found by index.
    return list(_stuck_lines().order_by("-run_id").values_list("run_id", flat=True).distinct()[:MOST_STUCK])


def _stuck_lines() -> QuerySet[UndoItem]:
    # Served by undo_item_stuck.
    return UndoItem.objects.filter(state__in=sorted(NEEDS_PERSON))


def _own_id(text: str) -> Q:
    try:
        return Q(pk=UUID(text))
    except ValueError:
        return Q(pk__in=[])


def first_id(moment: datetime) -> UUID:
    """The lowest id of a run that starts in this millisecond or later."""
    milliseconds = min(max(int(moment.timestamp() * 1000), 0), 2**48 - 1)
    return UUID(int=milliseconds << 80)


def runs_for(actor: Actor) -> RunQuerySet:
    """The runs that the actor may read: all of the workspace; for approvers those of their own tasks."""
    runs = Run.objects.in_workspace(actor.workspace_id)
    if not may(actor, Action.RUN_READ):
        return runs.none()
    if narrowed(actor, Action.RUN_READ):
        return runs.filter(pk__in=tasks_for_actor(actor).values("run_id"))
    return runs


def list_runs(actor: Actor, wanted: RunFilter, parameters: Mapping[str, str]) -> Page[Run]:
    """One page, newest first, by `cursor` and `limit` of the query parameters. Show its items by `run_views`."""
    return page_of(_with_names(runs_for(actor).filter(wanted.condition())), parameters)


def matching_runs(actor: Actor, wanted: RunFilter, most: int) -> list[UUID]:
    """The ids of the runs that fit, newest first; one more than `most` when there are more."""
    return list(runs_for(actor).filter(wanted.condition()).order_by("-pk").values_list("pk", flat=True)[: most + 1])


def runs_named(actor: Actor, run_ids: Collection[UUID]) -> list[Run]:
    """Those of these runs that the actor may read, as `run_views` shows them."""
    return list(_with_names(runs_for(actor).filter(pk__in=run_ids)))


def run_views(runs: Collection[Run]) -> list[RunView]:
    """The views of runs that `list_runs` read: one more query when one of them failed, for the steps' keys."""
    failed = {run.version_id for run in runs if "node" in (run.error or {})}
    keys = dict(Version.objects.filter(pk__in=failed).values_list("pk", "plan__keys")) if failed else {}
    return [_view(run, keys.get(run.version_id, ())) for run in runs]


def find_run(actor: Actor, run_id: UUID) -> Run:
    """A run that the actor may read, with the names `run_views` shows. Raises NotFound, the same for foreign runs."""
    run = _with_names(runs_for(actor)).filter(pk=run_id).first()
    if run is None:
        raise NotFound(ABSENT_RUN)
    return run


def run_detail(actor: Actor, run_id: UUID) -> RunDetail:
    """One run with its data, as far as the actor may read that. Raises NotFound."""
    run = find_run(actor, run_id)
    (view,) = run_views([run])
    parent = parent_of(actor, run)
    if not may_read_data(actor, run):
        return RunDetail(run=view, data_shown=False, parent=parent)
    read = payloads([run.input_ref, run.output_ref])
    given, gave = read(run.input, run.input_ref), read(run.output, run.output_ref)
    return RunDetail(run=view, input=given, output=gave, parent=parent)


def parent_of(actor: Actor, run: Run) -> RunParent | None:
    """The step that started a run of a sub-workflow, when the actor may read the run above."""
    return parent_in(runs_for(actor), run)


def detail_of_start(  # noqa: PLR0913  keyword-only: what the start knows, so that it need not be read again
    actor: Actor,
    workflow: Workflow,
    *,
    run_id: UUID,
    version: int,
    started_at: datetime,
    seq: int,
    input: Json,
    correlation_id: str | None,
    business_key: str | None,
    trigger: str = "api",
) -> RunDetail:
    """As `run_detail` right after the start, told from what was written. Whoever may start runs may read their data."""
    view = RunView(
        id=run_id,
        workflow=workflow.slug,
        workflow_name=workflow.name,
        version=version,
        state=RunState.RUNNING,
        started_at=started_at,
        finished_at=None,
        correlation_id=correlation_id or str(run_id),
        business_key=business_key,
        error=None,
        trigger=trigger,
        started_by=None if actor.user_id is None else actor.label,
        undo_stuck=False,
        seq=seq,
    )
    return RunDetail(run=view, input=input)


def may_read_data(actor: Actor, run: Run) -> bool:
    """Whether the actor may read inputs, outputs and logs of a run they may read; approvers: of their own tasks."""
    if narrowed(actor, Action.RUN_READ_DATA):
        own = may(actor, Action.RUN_READ_DATA)
        return own and tasks_for_actor(actor).filter(run_id=run.pk).exists()
    return True


def data_readable(actor: Actor, run_ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of the runs, which the actor may watch, whose data they may read; as `may_read_data` for one."""
    if not may(actor, Action.RUN_READ_DATA):
        return frozenset()
    if not narrowed(actor, Action.RUN_READ_DATA):
        return frozenset(run_ids)
    return frozenset(tasks_for_actor(actor).filter(run_id__in=run_ids).values_list("run_id", flat=True))


def payloads(references: Collection[UUID | None]) -> Any:
    """Fetch the values over 2 kB at once; returns a function (value, reference) -> value, or `ItemOutputs`."""
    wanted = [reference for reference in references if reference]
    rows = Payload.objects.filter(pk__in=wanted).values_list("pk", "body", "block") if wanted else []
    bodies = {pk: body if block is None else ItemOutputs.from_json(body) for pk, body, block in rows}
    return lambda value, reference: bodies.get(reference) if reference else value


def _with_names(runs: RunQuerySet) -> RunQuerySet:
    # The version's document and plan are large and not needed here.
    return (
        runs.select_related("workflow", "version", "started_by")
        .defer("version__document", "version__plan")
        .annotate(
            seq=Func(template=POSITION, output_field=BigIntegerField()),
            undo_stuck=Exists(_stuck_lines().filter(run_id=OuterRef("pk"))),
        )
    )


def _view(run: Run, keys: Collection[str]) -> RunView:
    return RunView(
        id=run.pk,
        workflow=run.workflow.slug,
        workflow_name=run.workflow.name,
        version=run.version.number,
        state=run.state,
        started_at=run.started_at,
        finished_at=run.finished_at,
        correlation_id=run.correlation_id,
        business_key=run.business_key,
        error=run_error(run.error, list(keys)),
        trigger=run.trigger,
        started_by=run.started_by.label if run.started_by else None,
        undo_stuck=run.undo_stuck,  # type: ignore[attr-defined]  # annotated by _with_names
        seq=run.seq,  # type: ignore[attr-defined]  # as above
    )


def run_error(error: Mapping[str, Any] | None, keys: list[str]) -> dict[str, Json] | None:
    """Why a run failed, with the key of the step that did (the row keeps its node)."""
    if not error:
        return None
    node = error.get("node")
    step = error.get("step") or (keys[node] if isinstance(node, int) and node < len(keys) else None)
    return {"code": error.get("code", "error"), "message": error.get("message", ""), "step": step}
