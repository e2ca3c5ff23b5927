"""What befalls audits in `chaos.py`, one function each: how the audit ended, what was harmed, whether it struck."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chaos import Chaos

PATIENCE = 300
SMALLEST_LIMIT, LARGEST_LIMIT = 1, 100


class Breach(Exception):  # noqa: N818 it says what was promised and not kept
    """Say which promise was broken."""


class Outcome(NamedTuple):
    """Say which groups a misfortune harmed itself, and when, how the audit ended, and whether it struck at all."""

    harmed: dict[str, int]
    code: int
    struck: bool


def nothing(chaos: "Chaos", number: int) -> Outcome:
    """Let the audit go on in peace; its inputs may differ from those of the one before."""
    code, error = chaos.ended(chaos.started(f"out_{number}.toml"))
    if code:
        raise Breach(f"an audit in peace ended with {code}: {error}")
    return Outcome({}, code, True)


def killed(chaos: "Chaos", number: int) -> Outcome:
    """Kill the audit and its workers at some moment."""
    process = chaos.started(f"out_{number}.toml")
    time.sleep(chaos.draw.uniform(0.5, 12))
    os.killpg(process.pid, signal.SIGKILL)
    code, _ = chaos.ended(process)
    return Outcome({}, code, code == -signal.SIGKILL)


def interrupted(chaos: "Chaos", number: int) -> Outcome:
    """Press Ctrl-C at some moment after the audit has begun."""
    process = chaos.started(f"out_{number}.toml")
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(chaos.draw.uniform(0, 8))
    process.send_signal(signal.SIGINT)
    code, error = chaos.ended(process)
    if code not in (0, 2, 130, -signal.SIGINT):
        raise Breach(f"an interrupted audit ended with {code}: {error}")
    return Outcome({}, code, code != 0)


def worker_killed(chaos: "Chaos", number: int) -> Outcome:
    """Kill one worker of the audit, as a machine short of memory does, which spares joblib's small bookkeeper."""
    process = chaos.started(f"out_{number}.toml")
    deadline, killed = time.monotonic() + PATIENCE / 4, False
    while process.poll() is None and time.monotonic() < deadline:
        workers = [each for each in children(process.pid) if not _keeps_books(each)]
        if len(workers) >= 2:
            time.sleep(chaos.draw.uniform(0, 4))
            killed = _kill(int(chaos.draw.choice(workers)))
            break
        time.sleep(0.02)
    code, error = chaos.ended(process)
    if code not in (0, 2):
        raise Breach(f"an audit that lost a worker ended with {code}: {error}")
    return Outcome({}, code, killed)


def disk_full(chaos: "Chaos", number: int) -> Outcome:
    """Let no file grow beyond some size."""
    limit = int(chaos.draw.integers(SMALLEST_LIMIT, LARGEST_LIMIT))
    code, error = chaos.ended(chaos.started(f"out_{number}.toml", limit))
    if code not in (0, 2):
        raise Breach(f"an audit on a full disk ended with {code}: {error}")
    return Outcome({}, code, code == 2)


def store_harmed(chaos: "Chaos", number: int) -> Outcome:
    """Flip, cut, empty, swap or remove some finished groups, then let the audit go on."""
    files = sorted((chaos.out / "store").glob("*.safetensors"))
    harmed = {file for file in files if chaos.draw.random() < 0.4}
    for file in harmed:
        content = file.read_bytes()
        place = int(chaos.draw.integers(max(len(content), 1)))
        file.write_bytes(
            content[:place] if chaos.draw.random() < 0.5 else content[:place] + b"?" + content[place + 1 :]
        )
        if chaos.draw.random() < 0.2:
            file.unlink()
    when = {file.name: file.stat().st_mtime_ns if file.exists() else 0 for file in harmed}
    for stray in ("results.json", "stray.tmp") if chaos.out.exists() else ():
        (chaos.out / stray).write_bytes(chaos.draw.bytes(50))
    code, error = chaos.ended(chaos.started(f"out_{number}.toml"))
    if code:
        raise Breach(f"an audit over a harmed store ended with {code}: {error}")
    return Outcome(when, code, bool(harmed))


MISFORTUNES: dict[str, Callable[["Chaos", int], Outcome]] = {
    "peace": nothing,
    "killed": killed,
    "interrupted": interrupted,
    "worker killed": worker_killed,
    "disk full": disk_full,
    "store harmed": store_harmed,
}
STOPPING = ("killed", "interrupted", "worker killed", "disk full")


def children(pid: int) -> list[int]:
    """Return the processes that a process started (Linux)."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(each) for each in task.read_text().split()]
        except OSError:  # it has ended meanwhile
            continue
    return found


def _keeps_books(pid: int) -> bool:
    """Return whether a process only remembers which shared memory to remove (Linux)."""
    try:
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return False


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended meanwhile
        return False
    return True
