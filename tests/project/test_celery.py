"""The broker carries wake-ups only: small JSON messages that may be lost, and nothing that becomes an object."""

import uuid

import pytest
from celery import Task
from kombu.exceptions import EncodeError

from orchestrator.project.celery import WAKE_EXPIRES, app


@app.task(name="test.nothing")  # type: ignore[untyped-decorator]
def nothing(_value: object = None) -> None:
    """A task that does nothing."""


def sent(task: Task, *arguments: object) -> dict[str, object]:
    """Send the task to a queue of its own and take the raw message from there."""
    queue = f"test-{uuid.uuid4()}"
    task.apply_async(arguments, queue=queue)
    with app.connection_for_read() as connection, connection.SimpleQueue(queue) as inbox:
        message = inbox.get(timeout=5)
        message.ack()
        return {"content_type": message.content_type, **message.headers}


def test_a_message_is_json_and_expires(running_servers: None) -> None:
    headers = sent(nothing, 1)
    assert headers["content_type"] == "application/json"
    assert headers["expires"] is not None
    assert WAKE_EXPIRES == 30
    assert headers["ignore_result"] is True


def test_an_object_cannot_be_sent(running_servers: None) -> None:
    with pytest.raises(EncodeError):
        sent(nothing, object())


def test_other_content_and_remote_control_are_refused() -> None:
    assert set(app.conf.accept_content) == {"json"}
    assert app.conf.worker_enable_remote_control is False
    assert app.conf.task_acks_late is False
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.backend.as_uri() == "disabled://"
