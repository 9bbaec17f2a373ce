"""The step kinds, and what developers need to write functions that drawings call."""

from orchestrator.core.kinds import StepContext
from orchestrator.steps.discovery import load_modules
from orchestrator.steps.failures import Permanent, Transient
from orchestrator.steps.registered import step
from orchestrator.steps.registry import KINDS, step_kinds_json

__all__ = ["KINDS", "Permanent", "StepContext", "Transient", "load_modules", "step", "step_kinds_json"]
