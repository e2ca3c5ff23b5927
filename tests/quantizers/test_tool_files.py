"""Files that other tools wrote mean what these tools say: weights, and outputs where layers round their inputs.

The files, and what they mean, come from the programs in tests/helpers/tool_files/, which ran where each tool is
installed; expected.npz names the tool and its version.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from quantmis.quantizers.formats import read, restore

HERE = Path(__file__).parent / "data" / "tools"
FOLDERS = sorted(each.name for each in HERE.iterdir())
CLOSE = 1e-6
"""How far a weight may be from the tool's own, of the largest: it rounds scales or sums in another order."""

INPUTS = ("x", "y", "rounded")
HALF = {"compressed-tensors-nvfp4", "compressed-tensors-nvfp4a16"}
"""Files that their tool turns back in half precision (bfloat16), which rounds their weights once more."""


def expected_of(name: str) -> dict[str, np.ndarray]:
    with np.load(HERE / name / "expected.npz", allow_pickle=False) as file:
        return {key: value for key, value in file.items() if key != "tool"}


def source(name: str) -> Path:
    """Return the file of a case, or the folder where a configuration lies beside it."""
    files = [each for each in (HERE / name).iterdir() if each.name not in ("expected.npz", "config.json")]
    whole = (HERE / name / "config.json").exists() or len(files) > 1
    return HERE / name if whole else files[0]


def bound(name: str) -> float:
    return 2**-8 if name in HALF else CLOSE


@pytest.mark.parametrize("name", FOLDERS)
def test_weights_are_those_of_the_tool(name: str):
    theirs = {key: value for key, value in expected_of(name).items() if key not in INPUTS}
    layers = {layer.name: layer.dequantize().numpy() for layer in read(source(name)).layers}
    assert layers.keys() == theirs.keys()
    for key, value in theirs.items():
        own = layers[key].reshape(value.shape)
        np.testing.assert_allclose(own, value, rtol=0, atol=bound(name) * np.abs(value).max())


@pytest.mark.parametrize("name", [name for name in FOLDERS if "y" in expected_of(name)])
def test_outputs_are_those_of_the_tool_where_inputs_are_rounded(name: str):
    theirs = expected_of(name)
    rows, columns = theirs["0"].shape
    model = nn.Sequential(nn.Linear(columns, rows))
    restored = restore(model, source(name))
    assert restored.rounds_activations
    with torch.no_grad():
        own = restored.model(torch.from_numpy(theirs["x"])).numpy()
        plain = restore(model, source(name), rounding=False)
        without = plain.model(torch.from_numpy(theirs["x"])).numpy()
        [hook] = read(source(name)).roundings.values()
        rounded = hook(nn.Identity(), (torch.from_numpy(theirs["x"]),))[0].numpy()
    np.testing.assert_allclose(rounded, theirs["rounded"], rtol=2e-7, atol=0)
    size = np.abs(theirs["y"]).max()
    apart = np.abs(own - theirs["y"]).max() / size
    assert apart <= max(4 * CLOSE, bound(name))
    assert np.abs(without - theirs["y"]).max() / size > 10 * apart
    assert plain.untouched == ("activations (rounded where the file runs)",)
