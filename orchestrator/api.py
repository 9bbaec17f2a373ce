"""The one door for designer, monitor and tests. What is not listed in `__all__` is not promised."""

from orchestrator.audit import record
from orchestrator.core.actor import Actor
from orchestrator.core.document import FORMAT, Document
from orchestrator.core.document_json import document_as_json
from orchestrator.core.errors import BranchlineError, Conflict, DocumentInvalid, Forbidden, NotFound, StaleRevision
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.parse import parse_document
from orchestrator.core.problem import Problem
from orchestrator.models import Run, User, Version, Workflow, Workspace
from orchestrator.models.fields import DrawnJSONField
from orchestrator.policy import Action, may, require

__all__ = [
    "FORMAT",
    "Action",
    "Actor",
    "BranchlineError",
    "Conflict",
    "Document",
    "DocumentInvalid",
    "DrawnJSONField",
    "Forbidden",
    "Json",
    "JsonObject",
    "NotFound",
    "Problem",
    "Run",
    "StaleRevision",
    "User",
    "Version",
    "Workflow",
    "Workspace",
    "document_as_json",
    "may",
    "parse_document",
    "record",
    "require",
]
