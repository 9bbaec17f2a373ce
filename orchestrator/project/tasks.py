"""The Celery tasks. Each is a wake-up: it carries no data and looks into PostgreSQL for what there is to do."""

from celery import shared_task

from orchestrator.services.notices import send_task_notices


@shared_task(name="orchestrator.notify")
def notify() -> int:
    """Send the mails of human tasks that opened. Dispatched after a task opens, and by the keeper."""
    return send_task_notices()
