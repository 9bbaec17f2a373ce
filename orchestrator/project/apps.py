from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """The composition root: commands, and the Celery app every process of this project shares."""

    name = "orchestrator.project"
    label = "project"

    def ready(self) -> None:
        # Makes `branchline` the current Celery app, so that the engine's tasks and wake-ups use its broker.
        import orchestrator.project.celery  # noqa: F401 - needs the settings, so only here
