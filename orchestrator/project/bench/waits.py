"""A thousand HTTP requests that take a second each, at once, in one worker process."""

from collections.abc import Iterator

from orchestrator.models import Workspace
from orchestrator.project.bench import drawings
from orchestrator.project.bench.place import Place, worker_node
from orchestrator.project.bench.row import Row, at_most
from orchestrator.project.bench.slow_server import SECONDS, slow_server

WAITS = 1_000
QUEUE = "bench_waits"
ROUNDS = 5


def waits(place: Place) -> Iterator[Row]:
    with slow_server() as port, worker_node(place.address, queue=QUEUE, processes=1):
        host = f"127.0.0.1:{port}"
        Workspace.objects.filter(pk=place.actor.workspace_id).update(allowed_hosts=[host])
        steps = [drawings.get(f"w{number}", f"http://{host}/", QUEUE) for number in range(WAITS)]
        version = place.publish(drawings.between("Waits", steps))
        place.run(version)
        measured = [place.run(version) for _ in range(ROUNDS)]
    yield at_most(f"{WAITS:,} HTTP waits of 1 s, one worker process", 3.0, measured, [SECONDS])
