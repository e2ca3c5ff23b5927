"""What the programs that call a peer share: the table, a clock, the peak of memory. They run where the peer is."""

import importlib.machinery
import re
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np

TARGETS = 4


class Absent(types.ModuleType):
    """Stand for a package that the peer imports for other attacks than those compared here."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()


def without(*names: str) -> None:
    """Let the peer be imported without these packages."""
    for name in names:
        module = Absent(name)
        module.__spec__, module.__path__ = importlib.machinery.ModuleSpec(name, None), []
        sys.modules[name] = module


def others(target: int, models: int) -> list[int]:
    """Return the rows of the references: all but the target and its twin."""
    return [row for row in range(models) if row // 2 != target // 2]


def peak() -> float:
    """Return the most memory in MiB that this process has held; `ru_maxrss` would begin at its parent's (Linux)."""
    return float(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


def compare(at_once: bool = False, **attacks: Callable[..., np.ndarray]) -> None:
    """Score the first targets of the table by each attack(signal, member, target) and write scores, times, memory.

    `at_once`: attack(signal, member) scores all models of the table; its time is that of one of them.
    """
    with np.load(sys.argv[1], allow_pickle=False) as file:
        signal, member = file["signal"], file["member"]
    before, found = peak(), {}
    for name, attack in attacks.items():
        start = time.process_time()
        if at_once:
            scores = attack(signal, member)
        else:
            scores = np.stack([attack(signal, member, target) for target in range(TARGETS)])
        found[f"{name}.seconds"] = np.array((time.process_time() - start) / len(scores))
        found[name] = scores[:TARGETS]
    np.savez(sys.argv[2], memory=np.array([before, peak()]), **found)
