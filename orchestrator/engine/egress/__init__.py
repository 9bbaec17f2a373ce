"""The one door for HTTP out. Nothing else in the engine or in a step opens a connection to a given address."""

from orchestrator.engine.egress.client import Egress, EgressClient

__all__ = ["Egress", "EgressClient"]
