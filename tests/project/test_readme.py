"""The README as a person follows it: every command runs for real, in its order, against one running `up`."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from orchestrator.core.states import RUN_MOVES
from tests.project.up_process import ROOT, Up, environment

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Started here as `manage.py up` (its own tests: test_up.py), and `make test` would run this very test again.
#: That both targets exist and what they do from a fresh clone is shown by continuous integration, which runs them.
NOT_RUN = {"make up", "make test"}
PRINTED_ADDRESS = "http://127.0.0.1:8000"
TIME = 300  # seconds for all commands together, on a machine that is busy with something else too


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def commands(block: str) -> str:
    return "".join(line for line in block.splitlines(keepends=True) if line.strip() not in NOT_RUN)


def script(address: str) -> str:
    """All commands as one terminal session that stops at the first failure and names the block it is in."""
    parts = [f"echo '### block {number}'\n{commands(block)}" for number, block in enumerate(blocks("bash"))]
    return "set -euo pipefail\n" + "\n".join(parts).replace(PRINTED_ADDRESS, address)


@pytest.fixture
def place(folder: Path) -> Path:
    """A folder that looks like the clone: the same interpreter and `manage.py`, and the README's step module."""
    made = folder.parent / "clone"
    made.mkdir()
    (made / ".venv").symlink_to(sys.prefix)
    (made / "manage.py").symlink_to(ROOT / "manage.py")
    (made / "warehouse.py").write_text(blocks("python")[0], encoding="utf-8")
    # The embedded servers' own user must reach the folder beside it.
    made.chmod(0o755)
    return made


def printed(output: str, start: str) -> dict[str, object]:
    """The JSON value that begins with this text."""
    found: dict[str, object] = json.JSONDecoder().raw_decode(output[output.index(start) :])[0]
    return found


def ended(output: str) -> list[dict[str, object]]:
    """What `run --watch` printed at each end."""
    return [json.JSONDecoder().raw_decode(output[match.start() :])[0] for match in re.finditer(r'\{\n  "run":', output)]


def follow(place: Path, up: Up, variables: dict[str, str]) -> str:
    """Run the whole session; fails with its output. A session that overstays is ended with all it started."""
    session = subprocess.Popen(
        ["bash", "-c", script(up.address)],
        cwd=place,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = session.communicate(timeout=TIME)
    except subprocess.TimeoutExpired:
        os.killpg(session.pid, signal.SIGKILL)
        pytest.fail(f"The README took longer than {TIME} s:\n{session.communicate()[0]}")
    assert session.returncode == 0, output
    return output


def test_every_command_works(place: Path, folder: Path) -> None:
    variables = {"PYTHONPATH": str(place), "BRANCHLINE_STEP_MODULES": "designer.samples.functions,warehouse"}
    own = {**environment(folder, PYTHONPATH=str(place)), "PWD": str(place)}
    own.pop("BRANCHLINE_STEP_MODULES", None)
    with Up(folder, variables) as up:
        output = follow(place, up, own)
        assert up.stop() == 0
    assert printed(output, '{"id":')["output"] == "Hello Ada"
    weighed, report = sorted(ended(output), key=lambda run: "revenue" in str(run["output"]))
    assert (weighed["state"], report["state"]) == ("succeeded", "succeeded")
    assert isinstance(weighed["output"], dict)
    assert (weighed["output"]["crate"], weighed["output"]["grams"]) == ("C-7", 3_000)
    assert isinstance(report["output"], dict)
    # The command's own formula, added up here: 10,000 rows, pieces 1..9, prices 1.50..90.50.
    assert report["output"]["rows"] == 10_000
    assert report["output"]["revenue"] == sum((n % 9 + 1) * (n % 90 + 1.5) for n in range(1, 10_001))


def test_nothing_else_is_left_out() -> None:
    # A new exception to NOT_RUN must be argued for above, not slip in as another kind of block.
    languages = re.findall(r"^```(\w*)$", README, re.MULTILINE)
    assert set(languages) == {"bash", "python", "toml", ""}
    assert len([line for block in blocks("bash") for line in block.splitlines() if line.strip() in NOT_RUN]) == 3


def test_every_file_it_names_is_there() -> None:
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)\)", README)
    named = re.findall(r"`((?:tests|designer|orchestrator|docs)/[\w./-]+)`", README)
    assert len(named) > 15
    missing = [name for name in [*links, *named] if not (ROOT / name).exists()]
    assert missing == []


def test_its_pictures_are_pictures() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) == 2
    missing = [name for name in pictures if not (ROOT / name).is_file()]
    assert missing == []
    assert all((ROOT / name).read_bytes().startswith(b"\x89PNG\r\n") for name in pictures)


def test_the_table_of_variables_is_complete() -> None:
    sources = [*ROOT.glob("orchestrator/project/**/*.py")]
    reads = r'(?:(?:environment|variables)\.(?:text|flag|number|words|given)|os\.environ\.get)\("([A-Z_]+)"'
    read = {name for source in sources for name in re.findall(reads, source.read_text(encoding="utf-8"))}
    section = README[README.index("## Variables") : README.index("## Promises")]
    table = set(re.findall(r"`([A-Z]+_[A-Z_]+|PORT|DATA)`", section))
    # Those of other projects keep their names in constants, or are read by the libraries themselves.
    foreign = ("OTEL_", "PROMETHEUS_")
    assert {name for name in read ^ table if not name.startswith(foreign)} == set()


def test_decisions_are_numbered_once_and_listed() -> None:
    pages = sorted(page.name for page in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    assert len({page[:4] for page in pages}) == len(pages)  # numbers are given out beforehand: one may stay unused
    assert re.findall(r"\((\d{4}-[\w-]+\.md)\)", index) == pages
    for page in pages:
        headings = re.findall(r"^## (.*)$", (ROOT / "docs/decisions" / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Rejected"], page


def test_the_moves_of_a_run_are_drawn_as_they_are() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    section = text.split("## States of a run\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    drawn = {state: set(re.findall(r"`(\w+)`", moves)) for state, moves in rows}
    assert drawn == {str(state): {str(move) for move in moves} for state, moves in RUN_MOVES.items()}


def test_the_example_function_says_what_the_readme_says(place: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
                import sys
                from types import SimpleNamespace
                import warehouse
                from orchestrator.steps import Permanent, Transient
                context = SimpleNamespace(log=SimpleNamespace(info=print), idempotency_key="k")
                try:
                    warehouse.weigh(context, "C-7", 0)
                except Permanent as refused:
                    print(refused.code)
                warehouse.SCALES_ARE_BUSY = True
                try:
                    warehouse.weigh(context, "C-7", 1)
                except Transient as busy:
                    print(busy.after)
            """),
        ],
        env={**os.environ, "PYTHONPATH": str(place)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.split() == ["crate_empty", "5"]
