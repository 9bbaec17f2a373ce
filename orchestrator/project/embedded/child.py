"""Child processes that never outlive this one, and are stopped by signals in a chosen order."""

import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec nothing may be imported.
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOptions:
    """How a child runs: `at_parent_death` is the signal the kernel sends it when this process is gone."""

    at_parent_death: signal.Signals = signal.SIGKILL
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    user: tuple[int, int] | None = None
    output: IO[bytes] | int | None = None
    keep_open: Sequence[int] = field(default_factory=tuple)


def die_with_parent(death_signal: signal.Signals, parent: int) -> None:
    """Ask the kernel to signal this process when `parent` ends, however it ends (prctl(2))."""
    LIBC.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before the request was in place
        os.kill(os.getpid(), death_signal)


def start_child(arguments: Sequence[str], options: ChildOptions) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C in the terminal reaches only this process.

    Must run in the main thread: the kernel counts the death of the *thread* that started the child.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("A child of a thread would be killed when the thread ends. Start it from the main thread.")
    uid, gid = options.user or (None, None)
    return subprocess.Popen(
        list(arguments),
        stdin=subprocess.DEVNULL,
        stdout=options.output,
        stderr=subprocess.STDOUT if options.output is not None else None,
        cwd=options.folder,
        env=options.environment,
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
        pass_fds=tuple(options.keep_open),
        start_new_session=True,
        # Runs after the change of user, which would clear the request again.
        preexec_fn=before_exec(options.at_parent_death, os.getpid()),
    )


def before_exec(death_signal: signal.Signals, parent: int) -> Callable[[], None]:
    return lambda: die_with_parent(death_signal, parent)


def stop_child(child: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> signal.Signals | None:
    """Send the signals in turn, each with its patience in seconds; answer the one that ended the child.

    None when it had ended before. SIGKILL always comes last.
    """
    for stop_signal, patience in (*steps, (signal.SIGKILL, 10.0)):
        if child.poll() is not None:
            return None
        child.send_signal(stop_signal)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        return stop_signal
    raise RuntimeError(f"Process {child.pid} does not end even by SIGKILL; its disk may be hanging.")
