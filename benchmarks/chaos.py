"""A week's abuse: audits whose processes are killed, whose disk is full, whose store is harmed, whose inputs change.

    python benchmarks/chaos.py [--minutes 5] [--seed 0]

Three audits that differ in their data or recipe take turns in one folder. In every round something happens to one of
them; the next round resumes whatever is left. Whatever happened:

- a table that an audit which ended well has written is, bit for bit, the one of an undisturbed audit;
- nobody sees a traceback: an audit ends well (0), says what is wrong (2), or was killed;
- a group of models that was finished and not harmed is still there, untouched.

Exits 1 at the first breach and says which. The last line counts what was done.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from quantmis import seeds
from quantmis.audit.result import AuditResult

MODULE = """
import numpy as np
from torch import nn

def net():
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))

def load{number}():
    draw = np.random.default_rng({number})
    return draw.normal(size=(150, 8)), draw.integers(0, 3, 150)
"""
FILE = """
[data]
function = "chaos_{number}:load{number}"
[model]
function = "chaos_{number}:net"
[training]
epochs = {epochs}
[audit]
quantizers = ["sign", "uniform(bits=4)"]
attacks = ["loss_threshold", "lira"]
shadows = 12
engine = "loop"
"""
PATIENCE = 300
SMALLEST_LIMIT, LARGEST_LIMIT = 1, 100


class Breach(Exception):  # noqa: N818 it says what was promised and not kept
    """Say which promise was broken."""


@dataclass
class Chaos:
    """Hold the folder of the audits, the stream of misfortune, what undisturbed audits found, and what was done."""

    home: Path
    draw: np.random.Generator
    expected: dict[int, dict[str, list[bytes]]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)

    @property
    def out(self) -> Path:
        """The folder in which the audits take turns."""
        return self.home / "out"

    def prepare(self) -> None:
        """Write the three audits and run each once, undisturbed, in a folder of its own."""
        for number, epochs in enumerate((30, 30, 31)):
            (self.home / f"chaos_{number}.py").write_text(MODULE.format(number=number))
            for name in ("out", "whole"):
                (self.home / f"{name}_{number}.toml").write_text(FILE.format(number=number, epochs=epochs))
            code, error = self.ended(self.started(f"whole_{number}.toml"))
            if code:
                raise Breach(f"an undisturbed audit ended with {code}: {error}")
            self.expected[number] = tables(self.home / f"whole_{number}")

    def started(self, file: str, limit: int | None = None) -> subprocess.Popen[str]:
        """Start an audit; `limit` bounds the KiB of each file that it writes, as a full disk does."""
        out = self.out if file.startswith("out") else self.home / file.partition(".")[0]
        command = [sys.executable, "-m", "quantmis", "audit", str(self.home / file), "--out", str(out)]
        if limit is not None:
            command = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "bash", *command]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait for an audit and return its exit code and what it said; `Breach` for a traceback."""
        try:
            error = process.communicate(timeout=PATIENCE)[1]
        except subprocess.TimeoutExpired as late:
            os.killpg(process.pid, signal.SIGKILL)
            raise Breach(f"an audit did not end within {PATIENCE} seconds") from late
        if "Traceback" in error:
            raise Breach(f"a traceback: {error[-2000:]}")
        return process.returncode, error

    def round(self) -> None:
        """Let one misfortune befall one audit, and hold it to its promises."""
        number = int(self.draw.integers(3))
        name, misfortune = list(MISFORTUNES.items())[self.draw.integers(len(MISFORTUNES))]
        before = groups(self.out)
        harmed, code = misfortune(self, number)
        self.done[name] += 1
        after = groups(self.out)
        lost = {each for each, written in before.items() if each not in harmed and after.get(each) != written}
        if lost:
            raise Breach(f"{name}: finished groups were lost or computed again: {sorted(lost)}")
        if code == 0:
            self.done["ended well"] += 1
            self.check(number, name)

    def check(self, number: int, name: str) -> None:
        """Compare what an audit that ended well wrote with the undisturbed one."""
        if tables(self.out) != self.expected[number]:
            raise Breach(f"{name}: a table differs from that of an undisturbed audit")
        AuditResult.from_json(self.out)


def tables(out: Path) -> dict[str, list[bytes]]:
    """Return the content of every table."""
    found = {}
    for file in sorted((out / "tables").glob("*.npz")):
        with np.load(file, allow_pickle=False) as arrays:
            found[file.name] = [arrays[name].tobytes() for name in sorted(arrays)]
    return found


def groups(out: Path) -> dict[str, int]:
    """Return when each finished group was written."""
    return {file.name: file.stat().st_mtime_ns for file in (out / "store").glob("*.safetensors")}


Outcome = tuple[set[str], int]


def nothing(chaos: Chaos, number: int) -> Outcome:
    """Let the audit go on in peace; its inputs may differ from those of the one before."""
    code, error = chaos.ended(chaos.started(f"out_{number}.toml"))
    if code:
        raise Breach(f"an audit in peace ended with {code}: {error}")
    return set(), code


def killed(chaos: Chaos, number: int) -> Outcome:
    """Kill the audit and its workers at some moment."""
    process = chaos.started(f"out_{number}.toml")
    time.sleep(chaos.draw.uniform(0.5, 12))
    os.killpg(process.pid, signal.SIGKILL)
    return set(), chaos.ended(process)[0] or 0


def interrupted(chaos: Chaos, number: int) -> Outcome:
    """Press Ctrl-C at some moment after the audit has begun."""
    process = chaos.started(f"out_{number}.toml")
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(chaos.draw.uniform(0, 8))
    process.send_signal(signal.SIGINT)
    code, error = chaos.ended(process)
    if code not in (0, 2, 130, -signal.SIGINT):
        raise Breach(f"an interrupted audit ended with {code}: {error}")
    return set(), code


def worker_killed(chaos: Chaos, number: int) -> Outcome:
    """Kill one worker of the audit, as a machine short of memory does."""
    process = chaos.started(f"out_{number}.toml")
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        workers = children(process.pid)
        if len(workers) >= 2:
            time.sleep(chaos.draw.uniform(0, 4))
            _kill(int(chaos.draw.choice(workers)))
            break
        time.sleep(0.02)
    code, error = chaos.ended(process)
    if code not in (0, 2):
        raise Breach(f"an audit that lost a worker ended with {code}: {error}")
    return set(), code


def disk_full(chaos: Chaos, number: int) -> Outcome:
    """Let no file grow beyond some size."""
    limit = int(chaos.draw.integers(SMALLEST_LIMIT, LARGEST_LIMIT))
    code, error = chaos.ended(chaos.started(f"out_{number}.toml", limit))
    if code not in (0, 2):
        raise Breach(f"an audit on a full disk ended with {code}: {error}")
    return set(), code


def store_harmed(chaos: Chaos, number: int) -> Outcome:
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
    for stray in ("results.json", "stray.tmp") if chaos.out.exists() else ():
        (chaos.out / stray).write_bytes(chaos.draw.bytes(50))
    code, error = chaos.ended(chaos.started(f"out_{number}.toml"))
    if code:
        raise Breach(f"an audit over a harmed store ended with {code}: {error}")
    return {file.name for file in harmed}, code


MISFORTUNES: dict[str, Callable[[Chaos, int], Outcome]] = {
    "peace": nothing,
    "killed": killed,
    "interrupted": interrupted,
    "worker killed": worker_killed,
    "disk full": disk_full,
    "store harmed": store_harmed,
}


def children(pid: int) -> list[int]:
    """Return the processes that a process started (Linux)."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(each) for each in task.read_text().split()]
        except OSError:  # it has ended meanwhile
            continue
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended meanwhile
        return


def main() -> int:
    """Abuse audits for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="quantmis-chaos-"))
    chaos = Chaos(home, seeds.generator(options.seed, "chaos"))
    end = time.monotonic() + 60 * options.minutes
    try:
        chaos.prepare()
        while time.monotonic() < end:
            chaos.round()
    except Breach as breach:
        print(f"{breach}\nThe folder is kept: {home}", file=sys.stderr)
        return 1
    shutil.rmtree(home)
    print("; ".join(f"{name}: {count}" for name, count in sorted(chaos.done.items())), "no breach", sep="; ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
