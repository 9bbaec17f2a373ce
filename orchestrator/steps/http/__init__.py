"""`http`: one request to another system."""

from collections.abc import Awaitable

from orchestrator.core.errors import BranchlineError
from orchestrator.core.http_errors import ConnectionFailed, DeadlineExceeded, HttpError
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Effects, Group, StepContext
from orchestrator.core.outcome import Outcome, Retry, TimedOut
from orchestrator.steps.faults import failed, fault
from orchestrator.steps.http.answer import outcome_of
from orchestrator.steps.http.config import HttpConfig
from orchestrator.steps.http.request import BodyRefused, HeaderRefused, content_of, full_url, headers_of
from orchestrator.steps.kind import Kind


class Http(Kind[HttpConfig]):
    """Runs on the event loop: a thousand waiting requests hold no threads."""

    kind = "http"
    group: Group = "do"
    name = "HTTP request"
    description = "Calls another system. Answers that pass (429, 502, 503, 504) are tried again."
    icon = "globe"
    config = HttpConfig
    effects: Effects = "external"

    def is_async(self, config: JsonObject) -> bool:
        return True

    def run(self, config: HttpConfig, context: StepContext) -> Awaitable[Outcome]:
        return _request(config, context)


async def _request(config: HttpConfig, context: StepContext) -> Outcome:
    try:
        answer = await context.http.request(
            config.method,
            full_url(config),
            headers=headers_of(config, context.idempotency_key),
            content=content_of(config),
            timeout=context.timeout,
        )
    except DeadlineExceeded as error:
        return TimedOut(fault(error.error_code, error.message))
    except ConnectionFailed as error:
        return Retry(fault(error.error_code, error.message))
    except (HttpError, HeaderRefused, BodyRefused) as error:
        return failed(error)
    except ValueError:
        return failed(BranchlineError("The URL cannot be read. Write it like https://host/path.", code="url_invalid"))
    return outcome_of(config, answer, context.now)
