"""A registry of step kinds with only what the validator asks of them; the real one lives above the core."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.document import FAILURE_PORTS
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import ConfigProblem, Effects, Group, Kinds, Resumed, StepContext


@dataclass
class KindForTests:
    """Ports and config rules of one kind; nothing runs."""

    kind: str
    needs: tuple[str, ...] = ()
    plain_ports: tuple[str, ...] = ("out", "error", "timeout")
    ports_from: str | None = None
    timeout_from: str | None = None
    reads: tuple[str, ...] = ()
    field_roots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resumes_alike: bool = False
    inside: tuple[str, ...] | None = None
    script_field: str | None = None
    group: Group = "do"
    effects: Effects = "none"
    description: str = ""
    icon: str = "box"
    lazy: tuple[str, ...] = ()
    default_timeout: float = 30.0

    @property
    def name(self) -> str:
        return self.kind

    @name.setter
    def name(self, value: str) -> None:
        self.kind = value

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        if self.ports_from is None:
            return self.plain_ports
        listed = config.get(self.ports_from, ())
        field = "port" if self.ports_from == "cases" else "key"
        named = tuple(str(item[field]) for item in listed) if isinstance(listed, list) else ()
        otherwise = ("otherwise",) if self.ports_from == "cases" else ()
        return (*named, *otherwise, "error")

    def check(self, config: JsonObject) -> list[ConfigProblem]:
        missing = [name for name in self.needs if name not in config]
        return [ConfigProblem(code="missing_field", message=f'"{name}" is missing.', path=name) for name in missing]

    def schema(self) -> JsonObject:
        if self.script_field is None:
            return {"type": "object"}
        hints = {"widget": "code", "language": "python"}
        return {"type": "object", "properties": {self.script_field: {"type": "string", "x-ui": hints}}}

    def effects_of(self, config: JsonObject) -> Effects:
        return self.effects

    def is_async(self, config: JsonObject) -> bool:
        return False

    def build(self, config: JsonObject) -> Any:
        raise NotImplementedError

    def run(self, config: Any, context: StepContext) -> Any:
        raise NotImplementedError

    def resume(self, config: Any, context: StepContext, resumed: Resumed) -> Any:
        raise NotImplementedError


_ALL = (
    KindForTests("call", needs=("function",)),
    KindForTests("script", needs=("code",), script_field="code"),
    KindForTests("http", needs=("url",)),
    KindForTests("transform", plain_ports=("out", "error")),
    KindForTests("choose", ports_from="cases", group="flow"),
    KindForTests("human_task", ports_from="outcomes"),
    KindForTests("merge", plain_ports=("out",)),
    KindForTests("end", plain_ports=()),
)
KINDS: Kinds = {kind.kind: kind for kind in _ALL}
assert all(FAILURE_PORTS & set(kind.plain_ports) or kind.kind in {"merge", "end"} for kind in _ALL)
