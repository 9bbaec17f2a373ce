"""Where step functions come from: entry points of installed packages, and modules named in a setting."""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import entry_points

from orchestrator.steps.registered import functions

ENTRY_POINTS = "branchline.steps"


def load_modules(names: Iterable[str] = ()) -> tuple[str, ...]:
    """Import every module of the entry-point group and the given ones; their `@step` lines register the functions.

    Returns the names of all functions. Raises `ImportError` naming the module that cannot be imported.
    """
    for entry in entry_points(group=ENTRY_POINTS):
        _load(entry.value.partition(":")[0], f"entry point {entry.name!r} of group {ENTRY_POINTS!r}")
    for name in names:
        _load(name, "BRANCHLINE_STEP_MODULES")
    return tuple(functions())


def _load(module: str, named_by: str) -> None:
    try:
        import_module(module)
    except ImportError as error:
        raise ImportError(f"Step module {module!r}, named by {named_by}, cannot be imported: {error}") from error
