"""`manage.py up`: one command starts everything, and nothing of it is ever left behind."""

import json
import re
import signal
import socket
import subprocess
from pathlib import Path

import httpx

from tests.engine.drawings import document, step
from tests.project.up_process import Up, all_gone, manage


def readiness(up: Up) -> httpx.Response:
    return httpx.get(f"{up.address}/readyz", timeout=10)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a start that could not be."""
    assert done.returncode == 1
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.endswith("Starting ...")]
    assert len(lines) == 1, lines
    return lines[0]


def test_it_serves_and_stops_everything_in_order(folder: Path) -> None:
    with Up(folder) as up:
        assert readiness(up).json() == {"database": True, "migrations": True, "broker": True, "live": True}
        family = up.family()
        assert {"postgres", "valkey-server"} <= {process.name() for process in family}
        sign_in(up.link)

        drawn = folder / "one.json"
        drawn.write_text(json.dumps(document([step("a")])))
        assert '"succeeded"' in manage(folder, "run", str(drawn), "--watch").stdout
        scrape = httpx.get(f"{up.address}/metrics", timeout=10).text
        assert "branchline_worker_processes 2.0" in scrape
        # Web and workers count together.
        assert 'branchline_attempts_total{kind="transform",outcome="succeeded"} 1.0' in scrape
        assert 'branchline_http_requests_total{method="GET",route="readyz",status="200"} 1.0' in scrape

        link = manage(folder, "signin", "--user", "alice")
        assert link.stdout.startswith(f"{up.address}/signin/link/"), link.stderr
        second = manage(folder, "up", PORT="0")
        assert f"Another Branchline (process {up.process.pid}) is running" in refused(second)

        assert up.stop(signal.SIGINT) == 0
        up.wait_for("Stopped.")
        assert all_gone(family, 0) == []


def sign_in(link: str) -> None:
    """Open the link as a browser does, press its button, and see a page for people who are signed in."""
    with httpx.Client(timeout=10, follow_redirects=True) as browser:
        page = browser.get(link)
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
        assert browser.post(link, data={"csrfmiddlewaretoken": token}).status_code == 200
        assert browser.get(httpx.URL(link).join("/account/")).url.path == "/account/"


def test_it_starts_again_what_dies_and_leaves_no_process_after_kill_9(folder: Path) -> None:
    with Up(folder) as up:
        up.child("manage.py work").kill()
        up.wait_for("The worker process ended unexpectedly")
        up.child("postgres").kill()
        up.wait_for("PostgreSQL runs again")
        assert readiness(up).status_code == 200
        family = up.family()
        up.process.kill()
        assert all_gone(family) == []
    with Up(folder) as up:
        assert readiness(up).status_code == 200
        assert up.stop() == 0


def test_it_stops_while_it_starts(folder: Path) -> None:
    up = Up(folder)
    up.wait_for("Starting ...")
    family = up.family()
    assert up.stop() == 0
    assert all_gone(family, 0) == []


def test_it_says_that_the_port_is_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refused(manage(folder, "up", PORT=str(port)))
    assert message == (
        f"Cannot start: Port {port} is taken by another program. Stop it, or choose: make up PORT={port + 1}"
    )


def test_it_says_that_the_data_belongs_to_another_postgresql(folder: Path) -> None:
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("16\n")
    message = refused(manage(folder, "up", PORT="0"))
    assert "was written by PostgreSQL 16, but this Branchline brings 18" in message


def test_it_says_that_the_data_folder_cannot_be_used(folder: Path) -> None:
    folder.write_text("a file, not a folder")
    assert f"data folder {folder} cannot be used" in refused(manage(folder, "up", PORT="0"))


def test_it_says_that_the_given_database_does_not_answer(folder: Path) -> None:
    message = refused(manage(folder, "up", PORT="0", DATABASE_URL=f"postgresql://nobody@/none?host={folder}"))
    assert "The database of DATABASE_URL does not answer" in message
