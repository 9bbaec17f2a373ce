from orchestrator.steps.fields import Config


class MergeConfig(Config):
    """Nothing to set here: the join on the step says when branches are enough."""
