"""Random drawings of `tests.graphs`, made of step kinds that the product has."""

from random import Random
from typing import Any

from tests.graphs import Expected, expected, random_document


def random_real_document(random: Random) -> tuple[dict[str, Any], Expected]:
    """A drawing for real workers, and what must have happened when it has ended."""
    acted = random_document(random, cancels=random.random() < 0.5)
    for step in acted["steps"]:
        config = step["config"]
        if len(config["drawn"]) > 1:
            # A choice never fails by itself, and control can always leave it by `otherwise`.
            config |= {"fails": False, "flaky": 0, "drawn": [*config["drawn"], "otherwise"]}
    real = {**acted, "steps": [_real(step) for step in acted["steps"]]}
    return real, expected(acted)


def _real(step: dict[str, Any]) -> dict[str, Any]:
    config = step["config"]
    if len(config["drawn"]) > 1:
        ports = [port for port in config["drawn"] if port != "otherwise"]
        cases = [{"port": port, "when": {"$": str(port in config["ports"])}} for port in ports]
        return {**step, "kind": "choose", "config": {"mode": "inclusive", "cases": cases}}
    arguments = {"fails": config["fails"], "flaky": config["flaky"]}
    return {**step, "kind": "call", "config": {"function": "chaos.act", "arguments": arguments}}
