"""Which steps a join may cancel: a table of small drawings."""

import pytest

from orchestrator.core.branches import branch_of

LONG = 20_000


@pytest.mark.parametrize(
    ("drawn", "branch"),
    [
        ("a>z b>z", "ab"),
        ("f>a f>b a>z b>z", "abf"),  # a fork that leads nowhere else belongs to both branches
        ("f>a f>b a>z b>z f>x", "ab"),  # the fork is needed elsewhere
        ("a>b b>z c>z", "abc"),  # a branch of several steps
        ("a>b b>z b>x c>z", "c"),  # what leads to a step that is needed elsewhere is needed elsewhere
        ("a>b a>c b>i c>i i>z d>z", "abcdi"),  # a join inside the branch
        ("a>z b>z z>x", "ab"),  # what follows the join is none of its branches
        ("a>z a>z b>z", "ab"),  # by two ports
        ("a>z b>z c>c", "ab"),  # a cycle elsewhere does not disturb
        ("a>z z>a b>z", "ab"),
        ("", ""),
    ],
)
def test_it_names_what_leads_only_here(drawn: str, branch: str) -> None:
    arrows = [(pair[0], pair[2]) for pair in drawn.split()]
    assert branch_of(arrows, "z") == tuple(branch)


def test_it_needs_no_deep_stack() -> None:
    assert len(branch_of([(n, n + 1) for n in range(LONG)], LONG)) == LONG
