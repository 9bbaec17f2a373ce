"""The executable documents of the control-flow patterns: those the engine supports directly, and the workarounds.

Numbers and names are those of Russell, ter Hofstede, van der Aalst and Mulyar, "Workflow Control-Flow Patterns: A
Revised View" (BPM Center Report BPM-06-22, 2006). `docs/patterns.md` says how each is drawn.
"""

from tests.scenarios.patterns.branching import BRANCHING
from tests.scenarios.patterns.cancelling import CANCELLING
from tests.scenarios.patterns.events import EVENTS
from tests.scenarios.patterns.instances import INSTANCES
from tests.scenarios.patterns.joining import JOINING
from tests.scenarios.patterns.looping import LOOPING
from tests.scenarios.patterns.ordering import ORDERING
from tests.scenarios.patterns.workarounds import WORKAROUNDS

CORPUS = sorted(
    [*BRANCHING, *JOINING, *INSTANCES, *ORDERING, *LOOPING, *CANCELLING, *EVENTS, *WORKAROUNDS],
    key=lambda pattern: (pattern.number, pattern.name),
)
