"""Where spans go: to a collector, when the standard OTEL_* variables name one. Without them nothing is recorded.

The SDK and its exporter are an extra (requirements/tracing.in): who sends no traces does not install them.
"""

import importlib
import os
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from orchestrator.engine.tracing import record_with

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
LAST_WORDS = 3_000  # milliseconds for the last spans of a process that ends


def exporter_named(variables: Mapping[str, str]) -> str:
    """ "otlp", "console", or empty: the variables ask for no traces. Raises ImproperlyConfigured for another."""
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ""
    endpoint = any(variables.get(name, "").strip() for name in ENDPOINTS)
    name = variables.get("OTEL_TRACES_EXPORTER", "").strip() or ("otlp" if endpoint else "none")
    if name not in {"otlp", "console", "none"}:
        raise ImproperlyConfigured(f'OTEL_TRACES_EXPORTER is "{name}". Branchline knows otlp, console and none.')
    protocol = next((variables[name] for name in PROTOCOLS if variables.get(name)), "http/protobuf")
    if name == "otlp" and protocol != "http/protobuf":
        raise ImproperlyConfigured(f'OTEL_EXPORTER_OTLP_PROTOCOL is "{protocol}". Branchline speaks http/protobuf.')
    return "" if name == "none" else name


_provider: Any = None


def prepare() -> None:
    """Raise ImproperlyConfigured when traces are asked for that cannot be sent: before processes are forked."""
    if exporter_named(os.environ):
        _module("orchestrator.project.spans")
        _module("opentelemetry.exporter.otlp.proto.http.trace_exporter")


def start() -> None:
    """Record spans in this process where the environment asks for it. A forked child may call it again."""
    global _provider
    name = exporter_named(os.environ)
    if not name or _provider is not None:
        return
    spans = _module("orchestrator.project.spans")
    _provider = spans.make_provider(_exporter(name))
    spans.offer_to_handlers(_provider)
    record_with(spans.recorder_of(_provider))


def stop() -> None:
    """Send what is left, and record no more."""
    global _provider
    record_with(None)
    if _provider is not None:
        _provider.force_flush(LAST_WORDS)
        _provider.shutdown()
        _provider = None


def _exporter(name: str) -> Any:
    if name == "console":
        return _module("opentelemetry.sdk.trace.export").ConsoleSpanExporter()
    return _module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ImproperlyConfigured(
            f"The OTEL_* variables ask for traces, but {error.name} is not installed. "
            "Run .ci/python tracing, or unset them."
        ) from error
