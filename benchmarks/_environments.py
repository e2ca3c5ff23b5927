"""Programs that run in the environment of another tool, for the benchmarks that set it beside ours."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def python_of(folder: Path, tool: str) -> Path:
    """Return the interpreter of a tool, whose environment stands in `folder` under its name without underscores."""
    return folder / tool.replace("_", "") / "bin" / "python"


def called(
    python: Path, command: Sequence[object], written: Path, more: Mapping[str, str] | None = None
) -> dict[str, np.ndarray] | str:
    """Run `command` by `python`, in the folder of `written`; return the arrays that it wrote there, or why not.

    Where `python` is another than ours, it does not see our packages; `more` joins its environment.
    """
    if not python.exists():
        return "not installed"
    ours = python == Path(sys.executable)
    environment = {name: value for name, value in os.environ.items() if ours or name != "PYTHONPATH"}
    words = [str(each) for each in (python, *command)]
    done = subprocess.run(
        words, capture_output=True, text=True, env=environment | dict(more or {}), cwd=written.parent, check=False
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    with np.load(written, allow_pickle=False) as found:
        return dict(found)
