"""Claims about what an audit stores of fine-tunings by low-rank adapters: these alone, and the same rows from them."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from tiny_models import sentences

import quantmis as qm
from quantmis.audit.execution import computing
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.store import Store
from quantmis.audit.execution.work import Work
from quantmis.models.engine import Engine
from quantmis.quantizers import QUANTIZERS, Identity

RANK = 2


def work(base: Path, *quantizers: str, keep: str = "adapters") -> Work:
    task = qm.Task.causal_lm(base, recipe=qm.Recipe(epochs=1, learning_rate=3e-3, lora_rank=RANK))
    samples = task.samples(qm.Texts.of(sentences(24)), reference=False)
    member = np.arange(len(samples)) % 2 == np.arange(2)[:, None]
    member[:, 20:] = False
    every = (Identity(), *map(QUANTIZERS.parse, quantizers))
    return Work(task, samples, member, every, 0, Engine("loop", 2, 1, 1, {}, {}), keep_weights=keep)


@pytest.mark.slow
def test_adapters_alone_are_stored_and_another_version_is_made_of_them(base: Path, tmp_path: Path, monkeypatch):
    collect(work(base), Local(), Store(tmp_path), lambda done: None)
    [file] = (tmp_path / "weights").iterdir()
    tensors = load_file(file)
    assert tensors
    assert all("lora_" in name and RANK in tensor.shape for name, tensor in tensors.items())
    expected = collect(work(base, "uniform(bits=3)"), Local(), None, lambda done: None).groups
    monkeypatch.setattr(computing, "train", lambda *each, **named: pytest.fail("a model was trained"))
    found = collect(work(base, "uniform(bits=3)"), Local(), Store(tmp_path), lambda done: None).groups
    for rows, group in expected.items():
        for number, version in group.versions.items():
            for name, array in version.arrays.items():
                assert np.array_equal(array, found[rows].versions[number].arrays[name]), (number, name)
