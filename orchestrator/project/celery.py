"""The Celery app `branchline`: a carrier of wake-ups. PostgreSQL holds every fact, so a lost message only delays."""

import os
import signal

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_ready
from django.conf import settings

from orchestrator.project.embedded.child import die_with_parent
from orchestrator.project.running.ready import tell_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.project.settings")

# A wake-up older than this says nothing new: the keeper has looked at the queue many times since.
WAKE_EXPIRES = 30  # seconds

app = Celery("branchline")
app.conf.update(
    broker_url=settings.BROKER_URL,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=4,
    # JSON in and out: a message can name a task and carry ids, never become an object.
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    event_serializer="json",
    # Acknowledged on receipt, no results: the outcome of a wake-up is in the rows it moved.
    task_acks_late=False,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    result_backend=None,
    task_create_missing_queues=True,
    task_default_queue="default",
    task_routes={},
    task_publish_retry=False,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    task_send_sent_event=False,
    worker_enable_remote_control=settings.DEBUG,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts_level="INFO",
    worker_max_tasks_per_child=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    task_time_limit=None,
    timezone="UTC",
    enable_utc=True,
    broker_transport_options={"socket_keepalive": True, "health_check_interval": 30},
)
app.conf.task_annotations = {"*": {"expires": WAKE_EXPIRES}}
app.set_default()

NODE = os.getpid()


def say_ready(**_: object) -> None:
    """Tell `up` that this node takes work."""
    tell_ready()


def die_with_node(**_: object) -> None:
    """A pool process never outlives its node, even when the node is killed while a step runs."""
    die_with_parent(signal.SIGKILL, NODE)


def keep_our_logging(**_: object) -> None:
    """Django's settings have configured the logs; a receiver here keeps Celery from doing it again."""


worker_ready.connect(say_ready)
worker_process_init.connect(die_with_node)
setup_logging.connect(keep_our_logging)
