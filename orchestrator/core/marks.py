"""Steps that cancel others: which ones, and whom."""

from collections.abc import Mapping

from orchestrator.core.document import CANCEL, END
from orchestrator.core.json_types import JsonObject


def cancels_others(kind: str, config: JsonObject) -> bool:
    """True for a step that ends others: `cancel`, or an `end` of the whole run."""
    return kind == CANCEL or (kind == END and config.get("whole") is True)


def cancelled_keys(config: JsonObject, regions: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The steps that a `cancel` step names, by themselves or by their region."""
    steps, region = config.get("steps"), config.get("region")
    named = [key for key in steps if isinstance(key, str)] if isinstance(steps, list | tuple) else []
    return [*named, *(regions.get(region, ()) if isinstance(region, str) else ())]
