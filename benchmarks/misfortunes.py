"""What befalls audits in `chaos.py`, one function each: how the audit ended, what was harmed, whether it struck."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

PATIENCE = 300
SMALLEST_LIMIT, LARGEST_LIMIT = 1, 100


CLOCK = """
import random, time
real, start = time.time, random.Random(SEED)
time.time = lambda: real() + start.choice((0, -86400, 86400, 10**9, -10**9))
"""
"""A clock that somebody sets back and forth; what measures how long things take is another."""


class Audits(Protocol):
    """Say what misfortunes need of the audits that they befall."""

    home: Path
    draw: np.random.Generator

    @property
    def out(self) -> Path:
        """The folder in which the audits take turns."""
        ...

    def started(
        self, file: str, limit: int | None = None, variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start an audit."""
        ...

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait for an audit and return its exit code and what it said."""
        ...


class Breach(Exception):  # noqa: N818 it says what was promised and not kept
    """Say which promise was broken."""


class Outcome(NamedTuple):
    """Say which groups a misfortune harmed itself, and when, how the audit ended, and whether it struck at all."""

    harmed: dict[str, int]
    code: int
    struck: bool


def nothing(chaos: Audits, number: int) -> Outcome:
    """Let the audit go on in peace; its inputs may differ from those of the one before."""
    code, error = chaos.ended(chaos.started(f"out_{number}.toml"))
    if code:
        raise Breach(f"an audit in peace ended with {code}: {error}")
    return Outcome({}, code, True)


def killed(chaos: Audits, number: int) -> Outcome:
    """Kill the audit and its workers at some moment."""
    process = chaos.started(f"out_{number}.toml")
    time.sleep(chaos.draw.uniform(0.5, 12))
    os.killpg(process.pid, signal.SIGKILL)
    code, _ = chaos.ended(process)
    return Outcome({}, code, code == -signal.SIGKILL)


def interrupted(chaos: Audits, number: int) -> Outcome:
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


def worker_killed(chaos: Audits, number: int) -> Outcome:
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


def workers_killed(chaos: Audits, number: int) -> Outcome:
    """Kill all workers of the audit at once."""
    process = chaos.started(f"out_{number}.toml")
    deadline, killed = time.monotonic() + PATIENCE / 4, False
    while process.poll() is None and time.monotonic() < deadline and not killed:
        workers = [each for each in children(process.pid) if not _keeps_books(each)]
        if len(workers) >= 2:
            time.sleep(chaos.draw.uniform(0, 4))
            killed = sum(map(_kill, workers)) > 0
        time.sleep(0.02)
    code, error = chaos.ended(process)
    if code not in (0, 2):
        raise Breach(f"an audit that lost its workers ended with {code}: {error}")
    return Outcome({}, code, killed)


def two_users(chaos: Audits, number: int) -> Outcome:
    """Start another audit on the same folder while one is running."""
    first = chaos.started(f"out_{number}.toml")
    time.sleep(chaos.draw.uniform(0, 6))
    second = chaos.started(f"out_{int(chaos.draw.integers(3))}.toml")
    (code, error), (other, said) = chaos.ended(first), chaos.ended(second)
    for each, what in ((code, error), (other, said)):
        if each not in (0, 2) or (each == 2 and "another audit is writing" not in what):
            raise Breach(f"one of two audits on a folder ended with {each}: {what}")
    if 0 not in (code, other):
        raise Breach("two audits on a folder refused each other")
    return Outcome({}, 2, 2 in (code, other))  # whose tables are there depends on who was last


def clock_changed(chaos: Audits, number: int) -> Outcome:
    """Set the clock back and forth while an audit is running."""
    clock = chaos.home / "clock"
    clock.mkdir(exist_ok=True)
    (clock / "sitecustomize.py").write_text(CLOCK.replace("SEED", str(chaos.draw.integers(10**9))))
    code, error = chaos.ended(chaos.started(f"out_{number}.toml", variables={"PYTHONPATH": str(clock)}))
    if code:
        raise Breach(f"an audit whose clock was changed ended with {code}: {error}")
    return Outcome({}, code, True)


def links_swapped(chaos: Audits, number: int) -> Outcome:
    """Put a link to another place where an audit writes, for a moment while it is running."""
    elsewhere = chaos.home / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "results.json").write_text("not of an audit")
    name = str(chaos.draw.choice(["store", "tables", "results.json", "report.html"]))
    place, aside = chaos.out / name, chaos.out / f".{name}.aside"
    process = chaos.started(f"out_{number}.toml")
    time.sleep(chaos.draw.uniform(0, 8))
    struck = place.exists() and process.poll() is None
    if struck:
        place.rename(aside)
        try:
            place.symlink_to(elsewhere if aside.is_dir() else elsewhere / "results.json")
            time.sleep(chaos.draw.uniform(0, 2))
        except FileExistsError:  # the audit was quicker
            pass
    code, error = chaos.ended(process)
    _put_back(place, aside)
    if code not in (0, 2):
        raise Breach(f"an audit among swapped links ended with {code}: {error}")
    held = {each.name: each.read_text() for each in elsewhere.iterdir()}
    if held != {"results.json": "not of an audit"}:
        raise Breach(f"an audit wrote through a link: {sorted(held)}")
    return Outcome({}, 2 if struck else code, struck)  # what it wrote in between is set aside again


def _put_back(place: Path, aside: Path) -> None:
    """Put what was set aside back in its place, what was written there meanwhile beside it."""
    if place.is_symlink():
        place.unlink()
    if not aside.exists():
        return
    if place.is_dir():
        for file in (each for each in aside.rglob("*") if each.is_file()):
            home = place / file.relative_to(aside)
            if not home.exists():
                home.parent.mkdir(parents=True, exist_ok=True)
                file.rename(home)
        shutil.rmtree(aside)
    elif not place.exists():
        aside.rename(place)
    else:
        aside.unlink()


def disk_full(chaos: Audits, number: int) -> Outcome:
    """Let no file grow beyond some size."""
    limit = int(chaos.draw.integers(SMALLEST_LIMIT, LARGEST_LIMIT))
    code, error = chaos.ended(chaos.started(f"out_{number}.toml", limit))
    if code not in (0, 2):
        raise Breach(f"an audit on a full disk ended with {code}: {error}")
    return Outcome({}, code, code == 2)


def store_harmed(chaos: Audits, number: int) -> Outcome:
    """Flip, cut, empty, swap or remove some finished groups, then let the audit go on."""
    files = sorted((chaos.out / "store").rglob("*.safetensors"))
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


MISFORTUNES: dict[str, Callable[[Audits, int], Outcome]] = {
    "peace": nothing,
    "killed": killed,
    "interrupted": interrupted,
    "worker killed": worker_killed,
    "workers killed": workers_killed,
    "two users": two_users,
    "clock changed": clock_changed,
    "links swapped": links_swapped,
    "disk full": disk_full,
    "store harmed": store_harmed,
}
STOPPING = ("killed", "interrupted", "worker killed", "workers killed", "two users", "links swapped", "disk full")


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
