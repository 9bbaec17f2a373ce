"""Every address there is, read from the resolver, so that a new one cannot stay untested."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter, UUIDConverter

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Route:
    """One named address and what its variable parts are."""

    name: str
    template: str
    parts: tuple[tuple[str, type], ...]

    @property
    def in_workspace(self) -> bool:
        return any(name == "workspace" for name, _ in self.parts)

    @property
    def is_api(self) -> bool:
        return self.template.startswith("api/")

    def path(self, workspace: str) -> str:
        """The address with parts that name nothing that exists, in the workspace."""
        return reverse(self.name, kwargs={name: absent(name, kind, workspace) for name, kind in self.parts})


def absent(name: str, kind: type, workspace: str) -> object:
    if name == "workspace":
        return workspace
    if issubclass(kind, IntConverter):
        return 2**40
    if issubclass(kind, UUIDConverter):
        return "00000000-0000-7000-8000-000000000000"
    return "absent"


def routes() -> list[Route]:
    """All named and unnamed routes; an unnamed one has the name ""."""
    return list(walk(get_resolver().url_patterns, "", {}))


def walk(patterns: list[URLPattern | URLResolver], prefix: str, outer: dict[str, type]) -> Iterator[Route]:
    for entry in patterns:
        parts = outer | {name: type(converter) for name, converter in entry.pattern.converters.items()}
        template = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from walk(entry.url_patterns, template, parts)
        else:
            yield Route(entry.name or "", template, tuple(parts.items()))
