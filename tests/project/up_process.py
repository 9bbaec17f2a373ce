"""A running `manage.py up` for tests: started, read line by line, asked over HTTP, stopped or killed."""

import contextlib
import os
import queue
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psutil

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN = 60.0  # seconds, on a busy machine
# Whatever the test session itself was told must not reach the program under test.
FOREIGN = ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "BRANCHLINE_DATA", "SECRET_KEY", "PORT", "DATA")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The variables of a person who chose only the data folder."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**kept, "DJANGO_SETTINGS_MODULE": "orchestrator.project.settings", "DATA": str(folder), **more}


def manage(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=READY_WITHIN,
        check=False,
    )


class Up:
    """`manage.py up` on a data folder, on a free port."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.seen: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=environment(folder, PORT="0", **(variables or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def wait_for(self, text: str, seconds: float = READY_WITHIN) -> str:
        """The next line that contains the text. Fails with all lines when the program ends or is too slow."""
        while True:
            try:
                line = self.lines.get(timeout=seconds)
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f'No line with "{text}" in:\n' + "\n".join(self.seen))
            self.seen.append(line)
            if text in line:
                return line

    def wait_until_ready(self) -> Self:
        self.link = re.findall(r"http://\S+", self.wait_for("Branchline is ready"))[0]
        self.address = re.match(r"http://[^/]+", self.link)[0]  # type: ignore[index]
        return self

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def family(self) -> list[psutil.Process]:
        """Every process that belongs to it."""
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def child(self, text: str) -> psutil.Process:
        """The direct child whose command line contains the text."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if text in " ".join(child.cmdline()))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait for the end, answer the exit code."""
        self.process.send_signal(number)
        return self.process.wait(READY_WITHIN)

    def __enter__(self) -> Self:
        try:
            return self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(READY_WITHIN)


def all_gone(processes: list[psutil.Process], seconds: float = 20.0) -> list[psutil.Process]:
    """Wait for the processes to end; answer those that did not. One that nobody collected yet has ended too."""
    deadline = time.monotonic() + seconds
    return [process for process in processes if not gone(process.pid, deadline)]


def gone(pid: int, deadline: float) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0])
    finally:
        os.close(descriptor)
