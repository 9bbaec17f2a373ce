"""Limits of open runs: the key that a new run falls under (the rest is sql/limits.sql)."""

import hashlib
import json
from typing import Any

from orchestrator.core.document import Concurrency
from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_types import Json
from orchestrator.engine.sandbox.values import Expressions, evaluate_value

LONGEST_KEY = 200  # characters; a longer value is known by its hash


def limit_fields(limit: Concurrency | None, value: Json, sandbox: Expressions) -> dict[str, Any]:
    """The limit as `branchline_start_run` takes it, for a run with this input; empty without one.

    Raises `ExpressionFailed` when the key cannot be computed.
    """
    if limit is None:
        return {}
    return {
        "concurrency_key": "" if limit.key is None else _key(limit.key, value, sandbox),
        "concurrency_limit": limit.limit,
        "on_limit": limit.on_limit,
    }


def _key(key: Json, value: Json, sandbox: Expressions) -> str:
    try:
        found = evaluate_value(key, {"input": value}, sandbox, path="settings.concurrency.key")
    except ExpressionFailed as error:
        message = f"The key of the workflow's limit cannot be computed from this input. {error.message}"
        raise ExpressionFailed(message, code=error.error_code, details=error.details) from error
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return text if len(text) <= LONGEST_KEY else hashlib.sha256(text.encode()).hexdigest()


def refusal(workflow: str, limit: int, of_key: str) -> str:
    """Why a run was refused, and the way out. `of_key`: what is said of the limit's key, nothing without one."""
    of_key = f" with {of_key}" if of_key else ""
    return (
        f'{limit} of {limit} runs of "{workflow}"{of_key} are open and its limit refuses more. '
        "Wait for one to end, cancel one, or let the limit queue or replace."
    )
