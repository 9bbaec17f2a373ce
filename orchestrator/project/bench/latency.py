"""How long people and programs wait until the work they asked for begins, on an idle machine."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import redis
from django.conf import settings

from orchestrator.models import HumanTask, Token, Version
from orchestrator.project.bench import drawings, floors
from orchestrator.project.bench.place import WORKSPACE, Place
from orchestrator.project.bench.row import Row, at_most, percentile

ROUNDS = 5
STARTS = 200  # per round
DECISIONS = 60
WARM_UP = 20
REST = 0.03  # seconds of idleness before the next request
CALM = 0.15  # seconds until the mails and messages that an opened task sets off are done: nobody decides that fast
PATIENCE = 20  # seconds


class Caller:
    """A program on one kept connection. Its requests are made beforehand: time counts from the first byte sent."""

    def __init__(self, place: Place) -> None:
        parts = urlsplit(place.address)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = f"Host: {parts.netloc}\r\nAuthorization: Bearer {place.token}\r\n"

    def ask(self, method: str, path: str, body: Any = None) -> tuple[float, Any]:
        """When the request was sent, by the wall clock, and the answer. Fails unless that is a success."""
        content = b"" if body is None else json.dumps(body).encode()
        of_content = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n" if content else ""
        request = (
            f"{method} /api/v1/w/{WORKSPACE}/{path} HTTP/1.1\r\n{self._headers}{of_content}\r\n".encode() + content
        )
        asked = time.time()
        self._socket.sendall(request)
        response = HTTPResponse(self._socket, method=method)
        response.begin()
        answer = response.read()
        assert 200 <= response.status < 300, answer
        return asked, json.loads(answer)

    def close(self) -> None:
        self._socket.close()


#: Sends one request for the `key` its handler will answer on; returns when it was sent, by the wall clock.
Ask = Callable[[Caller, str], float]


def start(place: Place) -> Iterator[Row]:
    version = place.publish(drawings.document("Stamp", [drawings.stamp("stamp")], []))
    path = f"workflows/{version.workflow.slug}/runs/"

    def ask(caller: Caller, key: str) -> float:
        return caller.ask("POST", path, {"input": {"key": key}})[0]

    yield from _rows(place, "API start -> handler begins", ask, STARTS, (0.004, 0.010))


def decision(place: Place) -> Iterator[Row]:
    steps = [drawings.approval("ask", place.actor.username), drawings.stamp("stamp")]
    version = place.publish(drawings.document("Ask", steps, [("ask.yes", "stamp")]))

    def ask(caller: Caller, key: str) -> float:
        task = _open_task(place, version, key)
        _, shown = caller.ask("GET", f"tasks/{task.pk}/")
        body = {"outcome": "yes", "values": {}, "digest": shown["digest"]}
        time.sleep(CALM)
        return caller.ask("POST", f"tasks/{task.pk}/decide/", body)[0]

    yield from _rows(place, "form decision -> handler begins", ask, DECISIONS, (0.005, 0.020))


def event(place: Place) -> Iterator[Row]:
    steps = [drawings.hearing("hear"), drawings.stamp("stamp")]
    version = place.publish(drawings.document("Hear", steps, [("hear", "stamp")]))

    def ask(caller: Caller, key: str) -> float:
        run_id = place.start(version, {"key": key})
        _until(Token.objects.filter(run_id=run_id, waiting__has_key="topic", state="W").exists, "step wait")
        time.sleep(CALM)
        told = {"specversion": "1.0", "id": key, "source": "/bench", "type": drawings.TOLD, "key": key}
        return caller.ask("POST", "events/", told)[0]

    yield from _rows(place, "event -> handler begins", ask, DECISIONS, (0.005, 0.020))


def _until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the measured {what} does not come")
        time.sleep(0.01)  # looking must not disturb what is measured


def _open_task(place: Place, version: Version, key: str) -> HumanTask:
    tasks = HumanTask.objects.filter(run_id=place.start(version, {"key": key}))
    _until(tasks.exists, "task")
    return tasks.get()


def _rows(place: Place, name: str, ask: Ask, count: int, bounds: tuple[float, float]) -> Iterator[Row]:
    trips: list[list[float]] = []
    rounds: list[list[float]] = []
    with floors.celery_worker() as round_trip:
        for number in range(ROUNDS):
            trips.append([_after_rest(round_trip) for _ in range(count // 2)])
            rounds.append(_latencies(place, ask, count, 0 if number else WARM_UP))
    for percent, bound in zip((50, 99), bounds, strict=True):
        measured = [percentile(values, percent) for values in rounds]
        floor = [percentile(values, percent) for values in trips]
        yield at_most(f"{name}, p{percent}", bound, measured, floor)


def _after_rest(round_trip: Callable[[], float]) -> float:
    """A floor as idle as what stands on it: back to back, a round trip takes half the time."""
    time.sleep(REST)
    return round_trip()


def _latencies(place: Place, ask: Ask, count: int, warm_up: int) -> list[float]:
    """Seconds from request to handler, one after another."""
    found = []
    heard: Any = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2 * PATIENCE)
    with closing(Caller(place)) as caller, heard:
        for _ in range(count + warm_up):
            key = f"bench-{uuid4().hex}"
            asked = ask(caller, key)
            answer = heard.blpop([key], timeout=PATIENCE)
            if answer is None:
                raise TimeoutError("the measured handler does not begin")
            found.append(float(answer[1]) - asked)
            time.sleep(REST)
    return found[warm_up:]
