"""User-written Python, evaluated in killable child processes only."""

from orchestrator.engine.sandbox.own import own_sandbox
from orchestrator.engine.sandbox.pool import Sandbox
from orchestrator.engine.sandbox.values import evaluate_value

__all__ = ["Sandbox", "evaluate_value", "own_sandbox"]
