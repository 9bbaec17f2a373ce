"""The other end of a socket, in this process: it speaks ASGI with the real application."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

from asgiref.testing import ApplicationCommunicator

from monitor.sockets import application


class Live:
    """One socket."""

    def __init__(self, path: str, headers: dict[str, str], *, scheme: str = "ws") -> None:
        parts = urlsplit(path)
        scope = {
            "type": "websocket",
            "scheme": scheme,
            "path": parts.path,
            "query_string": parts.query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "subprotocols": [],
        }
        self.reading = asyncio.Event()
        self.reading.set()
        communicator: Any = ApplicationCommunicator  # asgiref leaves it untyped
        self._end = communicator(self._paced, scope)

    async def _paced(self, scope: Any, receive: Any, send: Any) -> None:
        """The application; its sends wait while the other end does not read, as they do on a full network buffer."""

        async def send_when_read(message: Any) -> None:
            await self.reading.wait()
            await send(message)

        await application(scope, receive, send_when_read)

    async def open(self) -> int | None:
        """None when it is open, else the code it was refused with."""
        await self._end.send_input({"type": "websocket.connect"})
        answer = await self._end.receive_output(timeout=5)
        return None if answer["type"] == "websocket.accept" else int(answer["code"])

    async def say(self, **message: Any) -> None:
        await self.send(json.dumps(message))

    async def send(self, data: str | bytes) -> None:
        kind = "text" if isinstance(data, str) else "bytes"
        await self._end.send_input({"type": "websocket.receive", kind: data})

    async def hear(self, within: float = 3) -> dict[str, Any]:
        """The next frame."""
        message = await self._end.receive_output(timeout=within)
        assert message["type"] == "websocket.send", message
        found: dict[str, Any] = json.loads(message["text"])
        return found

    async def next_message(self) -> dict[str, Any]:
        """Whatever the application says next, a close too."""
        found: dict[str, Any] = await self._end.receive_output(timeout=10)
        return found

    async def code_of_error(self) -> str:
        """The code of the next frame, which must be an error."""
        frame = await self.hear()
        assert set(frame) == {"error"}, frame
        assert set(frame["error"]) == {"code", "message"}
        return str(frame["error"]["code"])

    async def closed(self, within: float) -> int:
        """The code it is closed with; frames before that are dropped."""
        async with asyncio.timeout(within):
            while True:
                message = await self._end.receive_output(timeout=within)
                if message["type"] == "websocket.close":
                    return int(message["code"])

    async def silent(self, seconds: float) -> bool:
        return bool(await self._end.receive_nothing(timeout=seconds, interval=0.01))

    async def leave(self) -> None:
        """Go away, as a browser does, and wait until the application has noticed."""
        if not self._end.future.done():
            await self._end.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._end.wait(timeout=5)


def states(frame: dict[str, Any]) -> dict[str, str]:
    """Key to state of the steps in a frame."""
    return {change["key"]: change["state"] for change in frame["changes"]}
