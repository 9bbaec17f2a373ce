from django.apps import AppConfig
from django.conf import settings


class ProjectConfig(AppConfig):
    """The composition root: commands, and the Celery app every process of this project shares."""

    name = "orchestrator.project"
    label = "project"

    def ready(self) -> None:
        # Makes `branchline` the current Celery app, so that the engine's tasks and wake-ups use its broker.
        import orchestrator.project.celery  # noqa: F401 - needs the settings, so only here

        # Every process knows the functions that drawings may call: the web tier checks and offers them, workers call.
        from orchestrator.steps import load_modules

        load_modules(settings.BRANCHLINE_STEP_MODULES)
