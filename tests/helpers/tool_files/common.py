"""What the programs that write files by other tools share: the weights, and where a file and what it means go.

Each program runs where its tool is installed, `python tests/helpers/tool_files/with_TOOL.py`, and writes small files to
tests/quantizers/data/tools/TOOL-CASE/ with expected.npz beside them: the weights by the tool's own dequantization, and
where layers round their inputs, `x` and the tool's own outputs `y`. Weights come from NumPy seeds.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parents[2] / "quantizers" / "data" / "tools"


def normal(seed: int, *shape: int) -> np.ndarray:
    """Return seeded normal draws in float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def inputs(columns: int) -> np.ndarray:
    """Return inputs of two texts of three tokens each, of very different sizes."""
    sizes = np.array([[0.1, 1.0, 3.0], [0.5, 2.0, 10.0]], np.float32)
    return normal(11, 2, 3, columns) * sizes[..., None]


def folder_of(case: str) -> Path:
    """Return the emptied folder of a case."""
    folder = HERE / case
    folder.mkdir(parents=True, exist_ok=True)
    for each in folder.iterdir():
        each.unlink()
    return folder


def written(folder: Path, tool: str, expected: dict[str, np.ndarray], words: dict[str, Any] | None = None) -> None:
    """Write what a file means, by which tool, and the configuration beside it."""
    numbers = {name: np.ascontiguousarray(value, np.float32) for name, value in expected.items()}
    np.savez_compressed(folder / "expected.npz", tool=np.array(tool), **numbers)
    if words is not None:
        (folder / "config.json").write_text(json.dumps(words, indent=1, sort_keys=True))
