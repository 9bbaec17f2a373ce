"""/ws/w/{workspace}/: live frames. Sockets read nothing themselves; see `hub`."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.conf import settings
from django.http import parse_cookie
from django.urls import re_path

from monitor.hub import Room, hub
from monitor.origin import is_own_origin
from monitor.requests import MOST_BYTES, Count, Invalid, Unwatch, WatchRun, error_text, parse
from orchestrator.api import SOCKETS, Action, Actor, JsonInvalid, Lost, Viewer, admit, may, watchable

MOST_RUNS = 100  # watched by one socket
RATE = 20  # messages a second, in the long run
BURST = 60  # messages at once
MOST_FRAMES = 64  # frames that wait for a slow reader
MOST_WAITING = 16_000_000  # characters of them
TOO_BIG, TOO_MUCH = 1009, 4429


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """One socket: who is at the other end, what they watch, and the frames that wait for them."""

    #: The room listens for all of its sockets; one channel each would cost a message each.
    channel_layer_alias = "none"

    viewer: Viewer
    actor: Actor
    room: Room | None = None

    async def connect(self) -> None:
        headers = headers_of(self.scope)
        if not is_own_origin(headers, self.scope.get("scheme", "ws")):
            await self.close(code=Lost.REMOVED)
            return
        slug = self.scope["url_route"]["kwargs"]["workspace"]
        admitted = await database_sync_to_async(admit)(slug, session_key=session_key(headers), bearer=bearer(headers))
        if isinstance(admitted, Lost):
            await self.close(code=admitted)
            return
        self.viewer, self.actor = admitted, admitted.actor
        self._runs: set[object] = set()
        self._frames: asyncio.Queue[str] = asyncio.Queue(MOST_FRAMES)
        self._waiting = 0
        self._tokens, self._filled_at = float(BURST), time.monotonic()
        self._shutting: asyncio.Task[None] | None = None
        await self.accept()
        self._sending = asyncio.create_task(self._send_frames())
        self.room = await hub().enter(self.actor.workspace_id, self)

    async def disconnect(self, code: int) -> None:
        if self.room is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
            await hub().leave(self.room, self)

    # What the room tells -------------------------------------------------------------------------------------------

    def offer(self, text: str) -> None:
        """Queue a frame. A reader that does not keep up is shut: with `after` it can come back and misses nothing."""
        if self._frames.full() or self._waiting > MOST_WAITING:
            self.shut(TOO_MUCH)
            return
        self._waiting += len(text)
        self._frames.put_nowait(text)

    def shut(self, code: int) -> None:
        """Close from this side; nothing is sent any more."""
        if self._shutting is None:
            self._sending.cancel()
            self._shutting = asyncio.create_task(self._shut(code))

    async def _shut(self, code: int) -> None:
        if self.room is not None:
            self.room.leave(self)
        await self.close(code=code)

    async def _send_frames(self) -> None:
        while True:
            text = await self._frames.get()
            await self.send(text_data=text)
            self._waiting -= len(text)

    # What the other end asks ---------------------------------------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._shutting is not None or self.room is None:
            return
        size = len(bytes_data or b"") or len((text_data or "").encode("utf-8", "surrogatepass"))
        if size > MOST_BYTES:
            self.shut(TOO_BIG)
            return
        if not self._spend():
            self.shut(TOO_MUCH)
            return
        try:
            await self._answer(parse(text_data))
        except Invalid as refusal:
            self.offer(error_text(refusal.code, refusal.message))
        except JsonInvalid as refusal:
            self.offer(error_text(refusal.error_code, refusal.message))

    def _spend(self) -> bool:
        now = time.monotonic()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled_at) * RATE)
        self._filled_at = now
        self._tokens -= 1
        return self._tokens >= 0

    async def _answer(self, request: WatchRun | Count | Unwatch) -> None:
        assert self.room is not None
        if isinstance(request, Unwatch):
            self._unwatch(self.room, request)
            return
        need = SOCKETS["run" if isinstance(request, WatchRun) else request.what]
        if isinstance(need, Action) and not may(self.actor, need):
            raise Invalid("forbidden", "Your roles do not include watching this.")
        if isinstance(request, Count):
            self.room.watch_counts(self, request.what)
            return
        await self._watch_run(self.room, request)

    def _unwatch(self, room: Room, request: Unwatch) -> None:
        if request.run_id is None:
            room.unwatch_counts(self, request.what)
            return
        self._runs.discard(request.run_id)
        room.unwatch_run(self, request.run_id)

    async def _watch_run(self, room: Room, request: WatchRun) -> None:
        if request.run_id not in self._runs and len(self._runs) >= MOST_RUNS:
            raise Invalid("too_many_watches", f"One socket watches at most {MOST_RUNS} runs. Unwatch some first.")
        found = await database_sync_to_async(watchable)(self.actor, [request.run_id])
        if request.run_id not in found:
            raise Invalid("not_found", "There is no such run in this workspace, or you may not see it.")
        self._runs.add(request.run_id)
        room.watch_run(self, found[request.run_id], request.after)


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The handshake's headers by their lower-case names."""
    return {bytes(name).decode("latin-1").lower(): bytes(value).decode("latin-1") for name, value in scope["headers"]}


def session_key(headers: Mapping[str, str]) -> str | None:
    """The session that the browser's cookie names."""
    return parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME) or None


def bearer(headers: Mapping[str, str]) -> str:
    """The bearer token of the handshake; never from the address, which ends up in logs."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip()[:200] if scheme.lower() == "bearer" else ""


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answer the handshake with 403: this address leads nowhere."""
    await receive()
    await send({"type": "websocket.close", "code": Lost.REMOVED})


# Django's types expect views here; channels calls ASGI applications.
_refuse: Any = refuse
urlpatterns = [
    re_path(r"^ws/w/(?P<workspace>[-\w]{1,63})/$", LiveConsumer.as_asgi(), name="live"),
    re_path("", _refuse, name="nowhere"),
]
#: Every socket of Branchline.
application = URLRouter(urlpatterns)
