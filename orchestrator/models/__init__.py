"""The tables. The engine's hot path writes them by named SQL functions, everybody else by services."""

from orchestrator.models.audit import AuditEntry
from orchestrator.models.control import Gate, GateArrival, Payload, StepLog, Token, WorkerSession
from orchestrator.models.event import Delivery, Event
from orchestrator.models.queue_limit import QueueLimit
from orchestrator.models.run import Run, RunRecord
from orchestrator.models.scope import Scope
from orchestrator.models.task import Decision, HumanTask
from orchestrator.models.undo import UndoItem
from orchestrator.models.user import ApiToken, SigninLink, User
from orchestrator.models.version import PlanGate, Version, Workflow
from orchestrator.models.workspace import Membership, Workspace

__all__ = [
    "ApiToken",
    "AuditEntry",
    "Decision",
    "Delivery",
    "Event",
    "Gate",
    "GateArrival",
    "HumanTask",
    "Membership",
    "Payload",
    "PlanGate",
    "QueueLimit",
    "Run",
    "RunRecord",
    "Scope",
    "SigninLink",
    "StepLog",
    "Token",
    "UndoItem",
    "User",
    "Version",
    "WorkerSession",
    "Workflow",
    "Workspace",
]
