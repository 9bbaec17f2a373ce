"""Who acts, as a frozen value: what crosses every layer instead of a request or a model instance."""

from dataclasses import dataclass
from typing import Literal

Via = Literal["session", "token", "command", "system"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A person (or the machine) in one workspace, with the roles held at this moment."""

    user_id: int | None
    username: str
    #: The name to show to others.
    label: str
    workspace_id: int
    workspace_slug: str
    roles: frozenset[str]
    groups: frozenset[str] = frozenset()
    #: session: a browser; token: the API; command: the machine's administrator; system: Branchline itself
    via: Via = "session"
    token_id: int | None = None
