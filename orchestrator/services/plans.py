"""Compiled plans of versions, for services: read once per process, for a version never changes."""

from orchestrator.core.plan import Plan
from orchestrator.core.plan_json import plan_from_json
from orchestrator.models import Version

KNOWN_PLANS = 200
_plans: dict[int, Plan] = {}


def plan_of(version: Version) -> Plan:
    """The version's plan."""
    if version.pk not in _plans:
        if len(_plans) >= KNOWN_PLANS:
            _plans.clear()
        _plans[version.pk] = plan_from_json(version.plan)
    return _plans[version.pk]
