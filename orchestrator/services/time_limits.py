"""The time-outs of containers, and sub-workflow steps, while what goes on in them waits for its turn."""

from collections.abc import Iterator

from orchestrator.core.json_types import Json
from orchestrator.models import Run, Scope, Token
from orchestrator.services.standing import XID

SCOPES_OF_A_BLOCK = 131_072


def hold_time_limits(token: Token, block: int) -> list[Json]:
    """Let no time count, inside a block, for what waits for this token; which tokens it counts for from its turn on."""
    held: list[Json] = []
    for above in _waiting_for(token, block):
        if above.waiting and "limit" in above.waiting:
            held.append({"token": above.pk, "limit": above.waiting["limit"]})
            waiting = {key: value for key, value in above.waiting.items() if key != "limit"}
            Token.objects.filter(pk=above.pk).update(wake_at=None, waiting=waiting, xid=XID)
    return held


def _waiting_for(token: Token, block: int) -> Iterator[Token]:
    """From the inside out, also past the run of a sub-workflow."""
    while True:
        own = token.scope_id - token.scope_id % SCOPES_OF_A_BLOCK
        if own == block:
            return
        if own:
            above = Scope.objects.filter(pk=own).values_list("token_id", flat=True).first()
        else:
            above = Run.objects.filter(pk=token.run_id).values_list("parent_token", flat=True).first()
        found = None if above is None else Token.objects.filter(pk=above).first()
        if found is None:
            return
        yield found
        token = found
