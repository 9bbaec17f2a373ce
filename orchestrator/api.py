"""The one door for designer, monitor and tests. What is not listed in `__all__` is not promised."""

from orchestrator.audit import record
from orchestrator.core.actor import Actor
from orchestrator.core.cloud_events import CloudEvent, EventInvalid, checked_event, read_event, structured_event
from orchestrator.core.compile import compile_plan
from orchestrator.core.csv_rows import CsvInvalid, csv_input
from orchestrator.core.document import FORMAT, Document
from orchestrator.core.document_json import document_as_json
from orchestrator.core.errors import (
    BranchlineError,
    Conflict,
    DocumentInvalid,
    ExpressionFailed,
    Forbidden,
    InputInvalid,
    JsonInvalid,
    NotFound,
    StaleRevision,
)
from orchestrator.core.forms import options_of, read_posted
from orchestrator.core.graph import reachable, reversed_graph, successors
from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_text import parse_json
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.parse import invalid as invalid_document
from orchestrator.core.parse import parse_document
from orchestrator.core.plan import Plan
from orchestrator.core.problem import Problem
from orchestrator.core.problems import find_problems
from orchestrator.core.problems_workflows import KnownWorkflows, named_workflows
from orchestrator.core.references import References, references
from orchestrator.core.schema import check_input
from orchestrator.core.schema_example import example_of
from orchestrator.core.states import FINAL_RUN, RunState, StepRunState
from orchestrator.core.undo import UndoState
from orchestrator.core.undo_preview import undo_preview
from orchestrator.engine.announcements import DEAF, News, hearing
from orchestrator.engine.prepared import Seen
from orchestrator.models import Run, User, Version, Workflow, Workspace
from orchestrator.models.fields import DrawnJSONField
from orchestrator.policy import SOCKETS, Action, may, narrowed, require
from orchestrator.queries.actors import NOTHING_ALONG
from orchestrator.queries.awaited import MOST_AWAITED, AwaitedEvent, awaited_of_run
from orchestrator.queries.captions import Caption, captions_of, document_of, workflow_names
from orchestrator.queries.cursor import MOST as MOST_ITEMS
from orchestrator.queries.cursor import CursorInvalid
from orchestrator.queries.dashboard import Dashboard, dashboard, oldest_waiting, recent_runs, stuck_runs
from orchestrator.queries.deliveries import (
    DeliveryView,
    dead_letter_count,
    dead_letters,
    deliveries_of_run,
    delivery_views,
    event_counts,
)
from orchestrator.queries.drawing import plan_of
from orchestrator.queries.events import EventDetail, EventFilter, EventView, event_detail, event_views, list_events
from orchestrator.queries.history import history
from orchestrator.queries.item_outputs import each_output
from orchestrator.queries.items import ITEM_STATES, ItemPlace, Items, item_at, items_of
from orchestrator.queries.known_workflows import known_workflows
from orchestrator.queries.live import Frame, Lost, Viewer, admit, read_changes, standings, watchable
from orchestrator.queries.places import place_words
from orchestrator.queries.preview import RanData, evaluate, last_run_data
from orchestrator.queries.runs import (
    RunFilter,
    RunView,
    data_readable,
    detail_of_start,
    find_run,
    list_runs,
    matching_runs,
    may_read_data,
    parent_of,
    run_detail,
    run_views,
    runs_for,
    runs_named,
)
from orchestrator.queries.startable import startable_along, startable_of, startable_workflow
from orchestrator.queries.step_detail import StepDetail, step_detail
from orchestrator.queries.step_run import StepRun, StepRuns
from orchestrator.queries.step_runs import StepRunRows, step_run_rows, step_runs
from orchestrator.queries.tallies import Tally, tallies_of
from orchestrator.queries.task_views import TaskCard, TaskDetail
from orchestrator.queries.tasks import TABS as TASK_TABS
from orchestrator.queries.tasks import card_for, inbox, people_for, task_counts, task_detail, task_page, tasks_of_run
from orchestrator.queries.timeline import Span, Spans, spans_of
from orchestrator.queries.undo import (
    ForeseenUndo,
    UndoLedger,
    UndoLine,
    foreseen_undo,
    held_undo,
    undo_counts,
    undo_ledger_of,
)
from orchestrator.services.bulk import ACTIONS as BULK_ACTIONS
from orchestrator.services.bulk import MOST_RUNS as MOST_BULK_RUNS
from orchestrator.services.bulk import BulkResult, change_runs
from orchestrator.services.control import cancel_run, pause_run, resume_run
from orchestrator.services.dead_letters import discard_delivery, replay_delivery
from orchestrator.services.events import Published, publish_event
from orchestrator.services.members import machine_actor
from orchestrator.services.reopen import retry_run
from orchestrator.services.repeat_preview import RepeatPreview, preview_rerun, preview_retry
from orchestrator.services.rerun import UNCHANGED, rerun_step
from orchestrator.services.retry_step import retry_step
from orchestrator.services.runs import start_run
from orchestrator.services.skip import skip_step
from orchestrator.services.skip_preview import SkipPreview, told_skip
from orchestrator.services.task_holders import claim_task, reassign_task, release_task
from orchestrator.services.task_rows import seen_along
from orchestrator.services.tasks import Decided, decide_task
from orchestrator.services.undo import How, cancel_with_undo, settle_undo, undo_run
from orchestrator.services.versions import publish_version
from orchestrator.steps.registry import KINDS, step_kinds_json

__all__ = [
    "BULK_ACTIONS",
    "DEAF",
    "FINAL_RUN",
    "FORMAT",
    "ITEM_STATES",
    "KINDS",
    "MOST_AWAITED",
    "MOST_BULK_RUNS",
    "MOST_ITEMS",
    "NOTHING_ALONG",
    "SOCKETS",
    "TASK_TABS",
    "UNCHANGED",
    "Action",
    "Actor",
    "AwaitedEvent",
    "BranchlineError",
    "BulkResult",
    "Caption",
    "CloudEvent",
    "Conflict",
    "CsvInvalid",
    "CursorInvalid",
    "Dashboard",
    "Decided",
    "DeliveryView",
    "Document",
    "DocumentInvalid",
    "DrawnJSONField",
    "EventDetail",
    "EventFilter",
    "EventInvalid",
    "EventView",
    "ExpressionFailed",
    "Forbidden",
    "ForeseenUndo",
    "Frame",
    "How",
    "InputInvalid",
    "ItemOutputs",
    "ItemPlace",
    "Items",
    "Json",
    "JsonInvalid",
    "JsonObject",
    "KnownWorkflows",
    "Lost",
    "News",
    "NotFound",
    "Plan",
    "Problem",
    "Published",
    "RanData",
    "References",
    "RepeatPreview",
    "Run",
    "RunFilter",
    "RunState",
    "RunView",
    "Seen",
    "SkipPreview",
    "Span",
    "Spans",
    "StaleRevision",
    "StepDetail",
    "StepRun",
    "StepRunRows",
    "StepRunState",
    "StepRuns",
    "Tally",
    "TaskCard",
    "TaskDetail",
    "UndoLedger",
    "UndoLine",
    "UndoState",
    "User",
    "Version",
    "Viewer",
    "Workflow",
    "Workspace",
    "admit",
    "awaited_of_run",
    "cancel_run",
    "cancel_with_undo",
    "captions_of",
    "card_for",
    "change_runs",
    "check_input",
    "checked_event",
    "claim_task",
    "compile_plan",
    "csv_input",
    "dashboard",
    "data_readable",
    "dead_letter_count",
    "dead_letters",
    "decide_task",
    "deliveries_of_run",
    "delivery_views",
    "detail_of_start",
    "discard_delivery",
    "document_as_json",
    "document_of",
    "each_output",
    "evaluate",
    "event_counts",
    "event_detail",
    "event_views",
    "example_of",
    "find_problems",
    "find_run",
    "foreseen_undo",
    "hearing",
    "held_undo",
    "history",
    "inbox",
    "invalid_document",
    "item_at",
    "items_of",
    "known_workflows",
    "last_run_data",
    "list_events",
    "list_runs",
    "machine_actor",
    "matching_runs",
    "may",
    "may_read_data",
    "named_workflows",
    "narrowed",
    "oldest_waiting",
    "options_of",
    "parent_of",
    "parse_document",
    "parse_json",
    "pause_run",
    "people_for",
    "place_words",
    "plan_of",
    "preview_rerun",
    "preview_retry",
    "publish_event",
    "publish_version",
    "reachable",
    "read_changes",
    "read_event",
    "read_posted",
    "reassign_task",
    "recent_runs",
    "record",
    "references",
    "release_task",
    "replay_delivery",
    "require",
    "rerun_step",
    "resume_run",
    "retry_run",
    "retry_step",
    "reversed_graph",
    "run_detail",
    "run_views",
    "runs_for",
    "runs_named",
    "seen_along",
    "settle_undo",
    "skip_step",
    "spans_of",
    "standings",
    "start_run",
    "startable_along",
    "startable_of",
    "startable_workflow",
    "step_detail",
    "step_kinds_json",
    "step_run_rows",
    "step_runs",
    "structured_event",
    "stuck_runs",
    "successors",
    "tallies_of",
    "task_counts",
    "task_detail",
    "task_page",
    "tasks_of_run",
    "told_skip",
    "undo_counts",
    "undo_ledger_of",
    "undo_preview",
    "undo_run",
    "watchable",
    "workflow_names",
]
