"""Letting runs go on: retry, re-run from a step, skip a step, and the same change to many runs."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from monitor.api_base import MonitorView, checked, path_id
from monitor.shapes import bulk, common, control, runs
from orchestrator.api import (
    MOST_BULK_RUNS,
    UNCHANGED,
    RepeatPreview,
    RunFilter,
    change_runs,
    find_run,
    matching_runs,
    preview_rerun,
    preview_retry,
    rerun_step,
    retry_run,
    retry_step,
    run_detail,
    skip_step,
    told_skip,
)
from orchestrator.rest.serializers import ErrorSerializer

RUN = path_id("run")
KEY = OpenApiParameter("key", OpenApiTypes.STR, OpenApiParameter.PATH)
STEP = [RUN, KEY]
#: A preview refuses what the change itself would refuse.
PREVIEW = {200: control.RepeatPreview, 409: ErrorSerializer}


class RepeatView(MonitorView):
    """Changes of one run; the answer is the run as it stands then."""

    def found(self) -> UUID:
        """The run, when the actor may read it. Raises NotFound."""
        return find_run(self.actor, self.id_of("run")).pk

    def changed(self, change: Callable[[UUID], object]) -> Response:
        run_id = self.found()
        change(run_id)
        return Response(run_detail(self.actor, run_id).as_json())

    def told(self, preview: Callable[[UUID], RepeatPreview]) -> Response:
        return Response(preview(self.found()).as_json())


class RetryView(RepeatView):
    """Retry from failure."""

    @extend_schema(operation_id="run_retry_preview", parameters=[RUN], responses=PREVIEW)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """What a retry would try again. 409 run_not_failed, run_of_sub_workflow (retry the run at the top)."""
        return self.told(lambda run: preview_retry(run, self.actor))

    @extend_schema(operation_id="run_retry", parameters=[RUN], request=common.ControlRequest, responses=runs.RunDetail)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Try again what failed, under the same idempotency keys. 409 run_not_failed, run_of_sub_workflow."""
        reason = checked(common.ControlRequest, request)["reason"]
        return self.changed(lambda run: retry_run(run, self.actor, reason))


class StepRetryView(RepeatView):
    """Retry one failed step."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.query = control.PlaceQuery if request.method == "GET" else None
        super().initial(request, *args, **kwargs)

    @extend_schema(operation_id="step_retry_preview", parameters=[*STEP, control.PlaceQuery], responses=PREVIEW)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """What a retry of this step would try again, what is behind it and, inside a container, goes on beside it."""
        scope = scope_of(self.asked())
        return self.told(lambda run: preview_retry(run, self.actor, kwargs["key"], scope=scope))

    @extend_schema(
        operation_id="step_retry", parameters=STEP, request=control.StepRetryRequest, responses=runs.RunDetail
    )
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Try this step again, under the same idempotency keys; other failures stay.

        One that failed inside a container goes on there. 409 step_not_failed when it has no failure that stands,
        step_inside_container (it failed in several items: say `scope`; or what happened inside was undone),
        step_running (its container is about to begin or to end), run_of_sub_workflow.
        """
        asked = checked(control.StepRetryRequest, request)
        scope = scope_of(asked)
        return self.changed(lambda run: retry_step(run, kwargs["key"], self.actor, asked["reason"], scope=scope))


class StepRerunView(RepeatView):
    """Re-run from a step."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.query = control.RerunQuery if request.method == "GET" else None
        super().initial(request, *args, **kwargs)

    @extend_schema(operation_id="step_rerun_preview", parameters=[*STEP, control.RerunQuery], responses=PREVIEW)
    def get(self, request: Request, **kwargs: Any) -> Response:
        """What would run again, what of it had succeeded, and what acts outside."""
        asked = {"newest": self.asked()["newest"], "scope": scope_of(self.asked())}
        return self.told(lambda run: preview_rerun(run, kwargs["key"], self.actor, **asked))

    @extend_schema(operation_id="step_rerun", parameters=STEP, request=control.RerunRequest, responses=runs.RunDetail)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Run this step and everything behind it again, in a new generation: under new idempotency keys.

        Inside a container its item, turn or scope is done again from this step, with later turns of a repeat and what
        is behind the container; other items are kept. 409 step_never_ran, step_inside_container (it stands in several
        items: say `scope`; or what happened inside was undone), version_differs, step_running (a kept step is at work
        with the old version, or the container is about to begin or to end), run_not_repeatable, run_of_sub_workflow,
        limit_differs (an open run would fall under another limit of open runs), run_changed (somebody has let the run
        go on since the preview that `as_of` names: nothing is repeated unseen).
        """
        asked = checked(control.RerunRequest, request)
        change = {"newest": asked["newest"], "input": asked.get("input", UNCHANGED), "scope": scope_of(asked)}
        change["as_of"] = asked.get("as_of")
        return self.changed(lambda run: rerun_step(run, kwargs["key"], self.actor, asked["reason"], **change))


class StepSkipView(RepeatView):
    """Skip a step."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.query = control.PlaceQuery if request.method == "GET" else None
        super().initial(request, *args, **kwargs)

    @extend_schema(
        operation_id="step_skip_preview",
        parameters=[*STEP, control.PlaceQuery],
        responses={200: control.SkipPreview, 409: ErrorSerializer},
    )
    def get(self, request: Request, **kwargs: Any) -> Response:
        """By which ports control could leave it, and, of one that failed inside a container, what goes on beside it."""
        told = told_skip(self.found(), kwargs["key"], self.actor, scope=scope_of(self.asked()))
        return Response(told.as_json())

    @extend_schema(operation_id="step_skip", parameters=STEP, request=control.SkipRequest, responses=runs.RunDetail)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Go on without this step, with the output you give: where it waits, has not begun or has failed.

        One that failed inside a container goes on there; whatever else failed stands. 409 approval_not_skippable,
        step_not_open, step_running (it is being worked on, or its container is about to begin or to end),
        run_of_sub_workflow, step_inside_container (it stands in several items: say `scope`; or what happened inside was
        undone).
        """
        asked = checked(control.SkipRequest, request)
        given = {"output": asked["output"], "port": asked["port"], "scope": scope_of(asked)}
        return self.changed(lambda run: skip_step(run, kwargs["key"], self.actor, asked["reason"], **given))


class BulkView(MonitorView):
    """Many runs at once."""

    @extend_schema(operation_id="runs_bulk", request=bulk.BulkRequest, responses=bulk.BulkAnswer)
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Retry, cancel, pause or resume runs by id or filter; each is answered for. `dry_run` changes nothing."""
        asked = checked(bulk.BulkRequest, request)
        ids = asked.get("ids") or matching_runs(self.actor, filter_of(asked["filter"]), MOST_BULK_RUNS)
        wanted = ids[:MOST_BULK_RUNS]
        results = change_runs(asked["action"], wanted, self.actor, asked["reason"], dry_run=asked["dry_run"])
        done = sum(result.ok for result in results)
        return Response(
            {
                "action": asked["action"],
                "dry_run": asked["dry_run"],
                "asked": len(results),
                "done": done,
                "refused": len(results) - done,
                "more": len(ids) > len(wanted),
                "results": [result.as_json() for result in results],
            }
        )


def scope_of(asked: Mapping[str, Any]) -> int | None:
    """Where the step stands, if somebody says so."""
    return int(asked["scope"]) if asked.get("scope") else None


def filter_of(asked: dict[str, Any]) -> RunFilter:
    """The filter of a bulk request."""
    return RunFilter(
        workflow=asked.get("workflow", ""),
        states=tuple(asked.get("state", ())),
        since=asked.get("since"),
        until=asked.get("until"),
        error=asked.get("error", ""),
        any_key=asked.get("key", ""),
    )
