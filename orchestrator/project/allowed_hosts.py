"""Which internal hosts a workspace's steps may reach, as its admins set it: read again every few seconds."""

import time
from collections.abc import Callable

from django.db import connection

from orchestrator.core.kinds import HttpClient
from orchestrator.engine.egress import Egress
from orchestrator.models import Workspace

FRESH = 5.0  # seconds: a host that is taken off the list stops being reachable within this time


def http_for_workspaces() -> Callable[[int], HttpClient]:
    """A function that gives each workspace its client behind the egress gate."""
    egress = Egress()
    known: dict[int, tuple[float, frozenset[str]]] = {}

    def client(workspace_id: int) -> HttpClient:
        read_at, hosts = known.get(workspace_id, (float("-inf"), frozenset()))
        if time.monotonic() - read_at > FRESH:
            try:
                row = Workspace.objects.filter(pk=workspace_id).values_list("allowed_hosts", flat=True).first()
            finally:
                connection.close()  # a slot's thread: back to the pool until the next look, also when it is broken
            hosts = frozenset(row or ())
            known[workspace_id] = (time.monotonic(), hosts)
        return egress.client(workspace_id, hosts)

    return client
