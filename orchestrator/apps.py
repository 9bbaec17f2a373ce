from django.apps import AppConfig


class OrchestratorConfig(AppConfig):
    """The engine: models, services and step kinds."""

    name = "orchestrator"
    label = "orchestrator"
    verbose_name = "Orchestrator"
