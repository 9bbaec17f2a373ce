"""What the browser complains about fails the test."""

import re
from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, WebError


@dataclass
class Complaints:
    """Errors on the console (broken content policy and failed requests among them) and uncaught exceptions."""

    seen: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def listen(self, context: BrowserContext) -> None:
        """Note everything that pages of this context complain about."""
        context.on("console", self.note)
        context.on("weberror", self.note_exception)

    def note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.seen.append(f"{message.text} ({message.location.get('url', '')})")

    def note_exception(self, error: WebError) -> None:
        self.seen.append(f"uncaught: {error.error}")

    def check(self) -> None:
        """Raise AssertionError for everything nobody expected since the last check."""
        left = [text for text in self.seen if not any(re.search(pattern, text) for pattern in self.expected)]
        self.seen.clear()
        assert not left, "The browser complains:\n" + "\n".join(left)
