"""`for_each`: the steps inside, once for every item of a list."""

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, MAX_ITEMS, TIMEOUT_PORT
from orchestrator.core.errors import ConfigInvalid
from orchestrator.core.failure_path import without_path
from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.json_types import JsonObject
from orchestrator.core.json_walk import is_expression, is_secret
from orchestrator.core.kinds import ConfigProblem, Effects, Group, Resumed, StepContext
from orchestrator.core.outcome import Done, Fail, Items, TimedOut
from orchestrator.steps.containers import failed_inside, too_late
from orchestrator.steps.faults import LONGEST_CHAIN, fault
from orchestrator.steps.for_each.config import ForEachConfig
from orchestrator.steps.kind import Kind
from orchestrator.steps.plain_words import spoken


class ForEach(Kind[ForEachConfig]):
    """Its output is the list of what the items gave, in the list's order.

    Null stands for an item that gave nothing: it failed and is tolerated, or the for-each was over before its end.
    Outputs that are too large together to be one value are a reference, which another for-each reads piece by piece.
    """

    kind = "for_each"
    group: Group = "flow"
    name = "For each"
    description = "Does the steps inside for every item of a list, several at a time."
    icon = "list-checks"
    config = ForEachConfig
    effects: Effects = "none"
    inside: tuple[str, ...] | None = ("item", "index")

    def build(self, config: JsonObject) -> ForEachConfig:
        """Raises `ConfigInvalid` (items_not_a_list, too_many_items, config_invalid)."""
        items = config.get("items")
        if isinstance(items, ItemOutputs):
            return super().build({**config, "items": []}).over(items)
        if not isinstance(items, list):
            raise ConfigInvalid(_no_list(items), code="items_not_a_list")
        if len(items) > MAX_ITEMS:
            raise ConfigInvalid(
                _too_many(len(items)), code="too_many_items", details={"items": len(items), "most": MAX_ITEMS}
            )
        return super().build(config)

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return (DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT)

    def check(self, config: JsonObject) -> list[ConfigProblem]:
        items = config.get("items")
        if isinstance(items, list) and len(items) > MAX_ITEMS:
            return [ConfigProblem(code="too_many_items", message=_too_many(len(items)), path="items")]
        found = super().check(config)
        if "items" not in config or isinstance(items, list) or is_expression(items) or is_secret(items):
            return found
        wrong = ConfigProblem(code="items_not_a_list", message=_no_list(items), path="items")
        return [wrong if one.path == "items" else one for one in found]

    def run(self, config: ForEachConfig, context: StepContext) -> Done | Fail | Items:
        if not config.all_items:
            return Done([])
        total, enough = len(config.all_items), config.enough.of(len(config.all_items))
        if enough is not None and enough > total:
            message = (
                f"{enough} items are to succeed, but the list has {total}. Lower `enough`, or give a share in percent."
            )
            return Fail(fault("enough_too_large", message, {"enough": enough, "total": total}))
        tolerate = config.tolerate.of(total)
        if enough is not None:
            # Where some are enough, the others may fail, unless less is tolerated.
            spare = total - enough
            tolerate = min(spare, tolerate) if "tolerate" in config.model_fields_set else spare
        return Items(items=config.all_items, parallel=config.parallel, tolerate=tolerate, enough=enough)

    def resume(self, config: ForEachConfig, context: StepContext, resumed: Resumed) -> Done | Fail | TimedOut:
        if resumed.signal is None:
            return too_late(context)
        if resumed.fault is None:
            return Done(resumed.body)
        failed, total = resumed.signal.get("fail"), resumed.signal.get("total")
        inner = failed_inside(resumed.fault).fault
        message = f"{failed} of {total} items failed, more than are tolerated. The first: {inner.message}"
        details: JsonObject = {"failed": failed, "total": total, "first": inner.code, **without_path(inner.details)}
        return Fail(fault("items_failed", message, details, longest=LONGEST_CHAIN))


def _no_list(items: object) -> str:
    found = "nothing" if items is None else spoken(items)
    return f"The items must be a list, but there is {found}."


def _too_many(count: int) -> str:
    return f"The list has {count:,} items; {MAX_ITEMS:,} is the most. Split it, or group the items."
