"""runs/: the list, one run, its steps and its history."""

from dataclasses import replace
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from monitor.api_base import MonitorView, path_id
from monitor.shapes import common
from monitor.shapes import history as history_shapes
from monitor.shapes import runs as run_shapes
from monitor.shapes import steps as step_shapes
from orchestrator.api import (
    RunFilter,
    RunView,
    StepRunRows,
    Tally,
    find_run,
    history,
    items_of,
    list_runs,
    may_read_data,
    run_detail,
    run_views,
    step_detail,
    step_run_rows,
    tallies_of,
)

RUN = path_id("run")


class RunsView(MonitorView):
    """The runs of a workspace."""

    query = run_shapes.RunQuery

    @extend_schema(operation_id="run_list", parameters=[run_shapes.RunQuery], responses=run_shapes.RunPage)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """Runs, newest first."""
        asked = self.asked()
        wanted = RunFilter(
            workflow=asked.get("workflow", ""),
            version=asked.get("version"),
            states=asked.get("state", ()),
            since=asked.get("since"),
            until=asked.get("until"),
            correlation_id=asked.get("correlation_id", ""),
            business_key=asked.get("business_key") or asked.get("key", ""),
            error=asked.get("error", ""),
        )
        page = list_runs(self.actor, wanted, request.query_params)
        return Response({"items": [view.as_json() for view in run_views(page.items)], "next": page.next})


class RunDetailView(MonitorView):
    """One run."""

    @extend_schema(operation_id="run_read", parameters=[RUN], responses=run_shapes.RunDetail)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The run with its input and output."""
        return Response(run_detail(self.actor, self.id_of("run")).as_json())


class RunStepsView(MonitorView):
    """The step runs of a run."""

    query = step_shapes.StepsQuery

    @extend_schema(
        operation_id="run_steps", parameters=[RUN, step_shapes.StepsQuery], responses=step_shapes.StepRunsView
    )
    def get(self, request: Request, **kwargs: Any) -> Response:
        """All step runs, or with `after` those that changed since; a change may be told twice, none is left out.

        What runs inside the items of a for-each is listed by `scope` only: see `items/` of the for-each. `tallies` says
        how each step inside stands over all items.
        """
        asked = self.asked()
        scope = asked.get("scope")
        run, steps, tallies = self.read(asked.get("after"), None if scope is None else int(scope))
        return Response(
            {
                "seq": steps.seq,
                "run": run.as_json(),
                "steps": steps.as_json(),
                "tallies": [tally.as_json() for tally in tallies],
            }
        )

    def read(self, after: int | None, scope: int | None) -> tuple[RunView, StepRunRows, tuple[Tally, ...]]:
        """The steps, how those inside a for-each stand, then the run as it stood with them."""
        run = find_run(self.actor, self.id_of("run"))
        shown = may_read_data(self.actor, run)
        steps = step_run_rows(run, after=after, scope=scope, shown=shown)
        tallies = tallies_of(run, steps) if scope is None else ()
        if steps.run_state != run.state:
            run = find_run(self.actor, run.pk)
        (view,) = run_views([run])
        return replace(view, seq=steps.seq), steps, tallies


class RunStepView(MonitorView):
    """One step of a run."""

    query = common.ScopeQuery

    @extend_schema(operation_id="run_step", parameters=[RUN, common.ScopeQuery], responses=step_shapes.StepDetail)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """The step with its input, output and attempts."""
        scope = self.asked().get("scope")
        return Response(step_detail(self.actor, self.id_of("run"), self.kwargs["key"], scope=scope).as_json())


class RunItemsView(MonitorView):
    """The items of a for-each."""

    query = step_shapes.ItemsQuery

    @extend_schema(operation_id="run_items", parameters=[RUN, step_shapes.ItemsQuery], responses=step_shapes.ItemPage)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """Its items, failed ones first, then in order. `steps/?scope=` lists the step runs of one."""
        scope = self.asked().get("scope")
        page = items_of(self.actor, self.id_of("run"), self.kwargs["key"], request.query_params.dict(), scope=scope)
        return Response(page.as_json())


class RunHistoryView(MonitorView):
    """What happened in a run."""

    query = history_shapes.HistoryQuery

    @extend_schema(
        operation_id="run_history", parameters=[RUN, history_shapes.HistoryQuery], responses=history_shapes.HistoryView
    )
    def get(self, request: Request, **kwargs: Any) -> Response:
        """Its history, oldest first. Follow `next` to the end, then ask again with `after=seq` of the first page.

        What ran inside the items of a for-each is told by `scope` only; the for-each has `progress` instead.
        """
        asked = self.asked()
        scope = asked.get("scope")
        found = history(
            self.actor,
            self.id_of("run"),
            request.query_params,
            after=asked.get("after", 0),
            scope=None if scope is None else int(scope),
        )
        return Response(found.as_json())
