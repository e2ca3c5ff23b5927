"""A week's abuse: audits whose processes are killed, whose disk is full, whose store is harmed, whose inputs change.

    python benchmarks/chaos.py [--minutes 5] [--seed 0] [--write]

Three audits that differ in their data or recipe take turns in one folder. In every round something happens to one of
them; the next round resumes whatever is left. Each misfortune comes until it has struck once, then all come at random
until the time is over. Before one that stops an audit some finished groups are taken away, so that there is something
to stop. Whatever happened:

- a table that an audit which ended well has written is, bit for bit, the one of an undisturbed audit;
- nobody sees a traceback: an audit ends well (0), says what is wrong (2), or was killed;
- a group of models that was finished and not harmed is still there, untouched.

Exits 1 at the first breach and says which; a misfortune that never struck is a breach too, since then nothing was
tested. The last line counts what was done. `--write` writes the section of RESULTS.md.
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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from _results import markdown, write_section
from misfortunes import LARGEST_LIMIT, MISFORTUNES, PATIENCE, SMALLEST_LIMIT, STOPPING, Breach

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
shadows = {shadows}
engine = "loop"
"""
SHADOWS = 12
TRIES = 20
TAKEN = 0.6
"""The share of the finished groups that is taken away before an audit that is to be stopped."""


@dataclass
class Chaos:
    """Hold the folder of the audits, the stream of misfortune, what undisturbed audits found, and what was done."""

    home: Path
    draw: np.random.Generator
    expected: dict[int, dict[str, list[bytes]]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    well: int = 0
    spoiled: dict[str, int] = field(default_factory=dict)
    """Groups that were harmed and that no audit of theirs has computed again since, and when they were harmed."""

    @property
    def out(self) -> Path:
        """The folder in which the audits take turns."""
        return self.home / "out"

    def prepare(self) -> None:
        """Write the three audits and run each once, undisturbed, in a folder of its own."""
        for number, epochs in enumerate((30, 30, 31)):
            (self.home / f"chaos_{number}.py").write_text(MODULE.format(number=number))
            for name in ("out", "whole"):
                (self.home / f"{name}_{number}.toml").write_text(
                    FILE.format(number=number, epochs=epochs, shadows=SHADOWS)
                )
            code, error = self.ended(self.started(f"whole_{number}.toml"))
            if code:
                raise Breach(f"an undisturbed audit ended with {code}: {error}")
            self.expected[number] = tables(self.home / f"whole_{number}")

    def started(
        self, file: str, limit: int | None = None, variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start an audit; `limit` bounds the KiB of each file that it writes, as a full disk does.

        `variables` are added to those of the environment, PYTHONPATH before what that names.
        """
        out = self.out if file.startswith("out") else self.home / file.partition(".")[0]
        command = [sys.executable, "-m", "quantmis", "audit", str(self.home / file), "--out", str(out)]
        if limit is not None:
            command = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "bash", *command]
        joined = [each.get("PYTHONPATH", "") for each in (variables or {}, os.environ)]
        return subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **(variables or {}), "PYTHONPATH": os.pathsep.join(filter(None, joined))},
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

    def abuse(self, seconds: float) -> None:
        """Let every misfortune come until it has struck, then any of them until the time is over."""
        end = time.monotonic() + seconds
        for name in MISFORTUNES:
            tries = 0
            while not self.struck[name]:
                if tries == TRIES:
                    raise Breach(f"{name}: came {TRIES} times and never struck, so nothing was tested")
                self.round(name)
                tries += 1
        while time.monotonic() < end:
            self.round(list(MISFORTUNES)[self.draw.integers(len(MISFORTUNES))])

    def round(self, name: str) -> None:
        """Let one misfortune befall one audit, and hold it to its promises."""
        number = int(self.draw.integers(3))
        if name in STOPPING:
            self.take_away()
        before = groups(self.out)
        outcome = MISFORTUNES[name](self, number)
        self.done[name] += 1
        self.struck[name] += outcome.struck
        self.spoiled |= outcome.harmed
        after = groups(self.out)
        lost = {each for each, at in before.items() if each not in self.spoiled and after.get(each) != at}
        if lost:
            raise Breach(f"{name}: finished groups were lost or computed again: {sorted(lost)}")
        self.spoiled = {each: at for each, at in self.spoiled.items() if after.get(each) == at}
        if outcome.code == 0:
            self.well += 1
            self.check(number, name)

    def take_away(self) -> None:
        """Remove some finished groups, so that the next audit has something to do."""
        for file in sorted((self.out / "store").rglob("*.safetensors")):
            if self.draw.random() < TAKEN:
                file.unlink()

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
    return {file.name: file.stat().st_mtime_ns for file in (out / "store").rglob("*.safetensors")}


def report(chaos: Chaos, minutes: float) -> str:
    """Return the section of RESULTS.md."""
    rows = [[name, chaos.done[name], chaos.struck[name]] for name in MISFORTUNES]
    return f"""`python benchmarks/chaos.py --minutes {minutes:g} --write`. Three audits of {SHADOWS} models, unlike in
data or recipe, took turns in one folder under misfortunes drawn at random. {chaos.done.total()} rounds, after
{chaos.well} of which an audit had ended well and its tables were compared, bit for bit, with those of an undisturbed
audit. Wrong tables: 0. Tracebacks: 0. Finished groups lost or computed again: 0. (The first breach ends the run, and
nothing is written.)

{markdown(["misfortune", "rounds", "struck"], rows)}

`killed`: the audit and its workers, at some moment; `worker killed`, `workers killed`: one process of its pool, or all;
`two users`: another audit is started on the same folder; `clock changed`: it is set days and decades back and forth;
`links swapped`: a link to another place stands where the audit writes, for a moment; `disk full`: no file may grow
beyond {SMALLEST_LIMIT} to {LARGEST_LIMIT} KiB; `store harmed`: groups flipped, cut or removed, `results.json`
overwritten. A misfortune that comes after the audit's end has not struck."""


def main() -> int:
    """Abuse audits for some minutes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="quantmis-chaos-"))
    chaos = Chaos(home, seeds.generator(options.seed, "chaos"))
    try:
        chaos.prepare()
        chaos.abuse(60 * options.minutes)
    except Breach as breach:
        print(f"{breach}\nThe folder is kept: {home}", file=sys.stderr)
        return 1
    shutil.rmtree(home)
    told = (f"{name}: {chaos.struck[name]} of {count}" for name, count in sorted(chaos.done.items()))
    print(f"{chaos.done.total()} rounds", *told, f"ended well: {chaos.well}", "no breach", sep="; ")
    if options.write:
        write_section("chaos", report(chaos, options.minutes), packages=("torch", "numpy"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
