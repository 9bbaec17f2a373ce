"""Log lines: short and readable for people, or one JSON object per line for machines.

Text from outside (names, errors of steps, requests) can reach a log, so control characters are shown escaped and
a line is cut: nobody can forge a second line, paint the terminal or fill the disk with one message.
"""

import logging
import logging.config
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from orchestrator.engine.log_context import add_facts

LONGEST_LINE = 16_000  # characters
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# A sign-in link is a key: what Django logs of a refused request names the address.
KEY_IN_ADDRESS = re.compile(r"(/signin/link/)[^/\s]+")
# Kept out of the readable line: it is there already or says nothing to a person.
QUIET = ("level", "logger", "event", "timestamp", "exception", "stack", "pathname", "lineno")


def escaped(text: str) -> str:
    """The text on one line, without characters a terminal would obey."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def cut(text: str) -> str:
    over = len(text) - LONGEST_LINE
    return text if over <= 0 else f"{text[:LONGEST_LINE]}... ({over} more characters)"


def without_keys(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """The line without the sign-in link that an address in it would give away."""
    return {
        key: KEY_IN_ADDRESS.sub(r"\1...", value) if isinstance(value, str) else value for key, value in event.items()
    }


def readable(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    """`12:30:01 warning orchestrator.engine  message  key=value`, a traceback below it."""
    values = "".join(f"  {key}={value}" for key, value in event.items() if key not in QUIET and not key.startswith("_"))
    level = "" if event.get("level") == "info" else f"{event.get('level')} "
    line = cut(escaped(f"{event.get('timestamp')} {level}{event.get('event')}{values}"))
    trace = event.get("exception")
    return line if not trace else "\n".join([line, *(f"  {escaped(row)}" for row in cut(str(trace)).splitlines())])


def shortened(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Every text of a JSON line within the limit (JSON itself escapes control characters)."""
    return {key: cut(value) if isinstance(value, str) else value for key, value in event.items()}


def logging_settings(*, json_lines: bool, level: str) -> dict[str, Any]:
    """A `logging.config.dictConfig` in which structlog formats every line, ours and the libraries'."""
    shared = [
        structlog.contextvars.merge_contextvars,
        add_facts,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso" if json_lines else "%H:%M:%S", utc=json_lines),
        structlog.processors.format_exc_info,
    ]
    last = [shortened, structlog.processors.JSONRenderer(default=str)] if json_lines else [readable]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, without_keys, *last],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"propagate": True},
            "django.utils.autoreload": {"level": "WARNING"},
            "uvicorn.error": {"level": "WARNING"},
            "uvicorn.access": {"level": "WARNING"},
            "celery": {"level": "WARNING"},
            "celery.redirected": {"level": "INFO"},
            "kombu": {"level": "WARNING"},
            "amqp": {"level": "WARNING"},
            "asyncio": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
        },
    }


def configure(settings: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG: set up the standard library's loggers and structlog's to write the same lines."""
    logging.config.dictConfig(settings)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            add_facts,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.PositionalArgumentsFormatter(),
            settings["formatters"]["line"]["foreign_pre_chain"][4],
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
