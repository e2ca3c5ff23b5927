"""Claims about what a user's function is: all that it does counts, nothing else does."""

import functools
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from resumable import work
from torch import nn

import quantmis as qm
from quantmis.audit.config.functions import Maker
from quantmis.audit.execution.code_hash import code_hash
from quantmis.audit.execution.keys import weights_keys

RATE = 0.1


def closing_over(rate: Any) -> Callable[[], Any]:
    return lambda: rate


def by_default(rate: Any) -> Callable[..., Any]:
    def train(rate: Any = rate) -> Any:
        return rate

    return train


def by_keyword(rate: Any) -> Callable[..., Any]:
    def train(*, rate: Any = rate) -> Any:
        return rate

    return train


def made_class(rate: Any) -> type:
    class Made(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * rate

    return Made


class Trainer:
    def __init__(self, rate: Any):
        self.rate = rate

    def __call__(self, model: nn.Module, samples: qm.Samples, generator: torch.Generator) -> nn.Module:
        return model

    def train(self) -> Any:
        return self.rate


class Narrow:
    __slots__ = ("rate",)

    def __init__(self, rate: Any):
        self.rate = rate


HOLDERS: list[Callable[[Any], Any]] = [
    closing_over,
    by_default,
    by_keyword,
    made_class,
    Trainer,
    Narrow,
    lambda rate: Trainer(rate).train,
    lambda rate: functools.partial(Trainer, rate),
    lambda rate: functools.partial(Trainer, rate=rate),
    lambda rate: Maker(Trainer, {"rate": rate}, "Trainer"),
    lambda rate: closing_over(closing_over([{"rate": (rate,)}])),
]
PAIRS = [
    (0.1, 0.2),
    (1, True),
    ("a", b"a"),
    (np.zeros(3), np.zeros(4)),
    (np.zeros(2), np.array([0.0, 1e-9])),
    (torch.zeros(2), torch.tensor([0.0, 1e-9])),
    (torch.float32, torch.float64),
    ({1, 2}, {1, 3}),
    (qm.Recipe(epochs=1), qm.Recipe(epochs=2)),
    (nn.ReLU(), nn.LeakyReLU()),
    (nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)),
]


@pytest.mark.slow
@pytest.mark.parametrize("holder", HOLDERS)
def test_a_value_counts_wherever_it_is_held(holder: Callable[[Any], Any]):
    for one, other in PAIRS:
        assert code_hash(holder(one)) == code_hash(holder(one))
        assert code_hash(holder(one)) != code_hash(holder(other)), (one, other)


def test_a_global_that_a_function_names_counts(monkeypatch: pytest.MonkeyPatch):
    def train() -> Any:
        def inner() -> float:
            return RATE

        return inner

    before = code_hash(train)
    monkeypatch.setattr(sys.modules[__name__], "RATE", 0.2)
    assert code_hash(train) != before


def test_what_refers_to_itself_has_an_end():
    endless: list[Any] = [1]
    endless.append(endless)
    assert code_hash(endless) == code_hash(endless)
    assert code_hash(made_class(1)) != code_hash(endless)


def test_what_cannot_be_read_is_never_taken_for_what_was_there_before(capsys: pytest.CaptureFixture[str]):
    def numbers():
        yield 1

    assert len(code_hash(numbers())) == 64
    assert "finished work is not reused" in capsys.readouterr().err


@pytest.mark.slow
def test_a_hash_is_the_same_in_every_process():
    code = (
        "from test_code_hash import HOLDERS, PAIRS, code_hash; from resumable import work;"
        "from quantmis.audit.execution.keys import keys_of;"
        "print([code_hash(holder(one)) for holder in HOLDERS for one, _ in PAIRS], keys_of(work())[:9])"
    )

    def told(seed: str) -> str:
        variables = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        where = Path(__file__).parent
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables, cwd=where
        ).stdout

    assert told("1") == told("2")


FILES = {
    "mine/__init__.py": "",
    "mine/recipe.py": "from mine.parts import helper\ndef train(model, samples, generator):\n"
    "    import late\n    return helper.step(model)\n",
    "mine/parts/__init__.py": "from .constants import SIZE\n",
    "mine/parts/constants.py": "SIZE = 1\n",
    "mine/parts/helper.py": "from . import SIZE\ndef step(model):\n    return model\n",
    "late.py": "WORD = 1\n",
    "unrelated.py": "WORD = 1\n",
}


@pytest.mark.parametrize("changed", sorted(FILES))
def test_a_changed_file_counts_where_the_recipe_imports_it_however_far_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
):
    monkeypatch.syspath_prepend(tmp_path)

    def key(suffix: str) -> str:
        for name, text in FILES.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text + (suffix if name == changed else ""))
        for name in [name for name in sys.modules if name.partition(".")[0] in ("mine", "late")]:
            del sys.modules[name]
        for cache in tmp_path.rglob("__pycache__"):
            shutil.rmtree(cache)
        importlib.invalidate_caches()
        train = importlib.import_module("mine.recipe").train
        whole = work(recipe=train, engine="auto", checkpoint_every=None)
        return weights_keys(whole)[whole.groups()[0]]

    before, again, after = key(""), key(""), key("# changed\n")
    assert before == again
    assert (before == after) == (changed == "unrelated.py")


@pytest.mark.slow
def test_the_arguments_of_an_audit_file_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A slope that is neither in the repr nor in the weights of the model."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "sloped.py").write_text(
        "from torch import nn\nfrom torch.nn import functional\n"
        "class Sloped(nn.Module):\n"
        "    def __init__(self, slope):\n"
        "        super().__init__()\n        self.layer, self.slope = nn.Linear(64, 10), slope\n"
        "    def forward(self, x):\n        return functional.leaky_relu(self.layer(x), self.slope)\n"
    )
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((60, 64), np.float32), y=np.arange(60) % 10)

    def reused(slope: float) -> int:
        text = (
            f'[data]\nfile = "data.npz"\n[model]\nfunction = "sloped:Sloped"\narguments = {{slope = {slope}}}\n'
            '[training]\nepochs = 1\n[audit]\nquantizers = ["sign"]\nshadows = 4\nengine = "stacked"\n'
            'attacks = ["loss_threshold"]\n'
        )
        (tmp_path / "audit.toml").write_text(text)
        from quantmis.audit.config.running import audit_file

        return audit_file(tmp_path / "audit.toml", tmp_path / "out", {}).document.environment.reused

    assert [reused(slope) for slope in (0.0, 0.0, 0.9)] == [0, 4, 0]
