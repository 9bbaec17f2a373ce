"""What all step kinds share. A kind is a folder with a config and a handler, and one line in `registry`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT
from orchestrator.core.errors import ConfigInvalid
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import ConfigProblem, Effects, Group, Resumed, StepContext
from orchestrator.steps.config_problems import code_of, config_problems, sentence
from orchestrator.steps.fields import Config

ConfigT = TypeVar("ConfigT", bound=Config)


class Kind(ABC, Generic[ConfigT]):
    """Implements `core.kinds.StepKind` on top of one pydantic model. `literal` paths must not be expressions."""

    kind: str
    group: Group
    name: str
    description: str
    icon: str
    config: type[ConfigT]
    #: A kind that has none says so: of a forgotten one it is believed that repeating it does harm.
    effects: Effects = "external"
    ports_from: str | None = None
    timeout_from: str | None = None
    field_roots: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    lazy: tuple[str, ...] = ()
    literal: tuple[str, ...] = ()
    default_timeout: float = 30.0
    reads: tuple[str, ...] = ()
    resumes_alike: bool = False
    inside: tuple[str, ...] | None = None

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        """All ports of a step with this raw config, failure ports included."""
        return (DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT)

    def effects_of(self, config: JsonObject) -> Effects:
        """The kind's own, whatever the config."""
        return self.effects

    def is_async(self, config: JsonObject) -> bool:
        """True when `run` gives an awaitable."""
        return False

    def check(self, config: JsonObject) -> list[ConfigProblem]:
        """Everything wrong with a raw config (values may be expressions)."""
        return config_problems(self.config, config, self.literal, self.lazy)

    def schema(self) -> JsonObject:
        """JSON Schema of the config with `x-ui`."""
        return self._schema

    def build(self, config: JsonObject) -> ConfigT:
        """Validate an evaluated config. Raises `ConfigInvalid`."""
        try:
            return self.config.model_validate(config)
        except ValidationError as error:
            message = f"The config of this {self.name} step does not fit: {sentence(error, config)}"
            raise ConfigInvalid(message, code=code_of(error)) from error

    @abstractmethod
    def run(self, config: ConfigT, context: StepContext) -> Any:
        """-> Outcome, or an awaitable of it."""

    def resume(self, config: ConfigT, context: StepContext, resumed: Resumed) -> Any:
        """Only kinds that return `Wait` are asked."""
        raise TypeError(f"A {self.kind} step never waits, so it cannot be resumed.")

    @cached_property
    def _schema(self) -> JsonObject:
        return self.config.model_json_schema()
