"""Adapters of one base: it is in memory once, and what is trained and audited is what it would be apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import sentences
from torch import nn

import quantmis as qm
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.work import Group, Job, Work
from quantmis.models.engine import Engine, choose_engine
from quantmis.models.training import Training, train
from quantmis.quantizers import QUANTIZERS

MODELS, PAIR = 4, 2


def task(base: Path, **recipe: object) -> qm.Task:
    recipe = {"epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "lora_rank": 2} | recipe
    return qm.Task.causal_lm(base, recipe=qm.Recipe(**recipe))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def samples(base: Path) -> qm.Samples:
    return task(base).samples(qm.Texts.of(sentences(24)), reference=False)


def bytes_held(modules: list[nn.Module]) -> int:
    """Return the bytes of all storages that parameters of `modules` lie in, each counted once."""
    storages = [value.untyped_storage() for module in modules for value in module.parameters()]
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


def member(samples: qm.Samples) -> np.ndarray:
    half = np.arange(len(samples)) % 2 == np.arange(2)[:, None]
    return np.tile(half, (MODELS // 2, 1))


def test_adapters_stand_on_one_base_and_begin_as_they_would_apart(base: Path):
    made = task(base)
    together = made.trainable_modules(range(MODELS))
    own = sum(value.nbytes for value in together[0].parameters() if value.requires_grad)
    assert bytes_held(together) == bytes_held([made.build(0)]) + MODELS * own
    for seed, module in enumerate(together):
        apart = made.trainable_module(seed).state_dict()
        state = module.state_dict()
        assert list(state) == list(apart)
        assert all(torch.equal(state[name], value) for name, value in apart.items())


def test_models_that_differ_by_more_than_adapters_share_nothing(base: Path):
    for made in (task(base, lora_rank=None), qm.Task.causal_lm(base, pretrained=False, recipe=task(base).recipe)):
        one, two = made.trainable_modules([0, 1])
        assert bytes_held([one, two]) == 2 * bytes_held([one])


def test_training_side_by_side_on_one_base_gives_the_models_of_trainings_apart(
    base: Path, samples: qm.Samples, monkeypatch: pytest.MonkeyPatch
):
    made = task(base)
    training = Training(made, samples, member(samples), range(MODELS), seed=0, kind="loop")
    together = train(training)
    assert bytes_held(together) < 1.5 * bytes_held([together[0]])
    monkeypatch.setattr(qm.Task, "shares_base", False)
    for one, other in zip(together, train(training), strict=True):
        assert all(torch.equal(*pair) for pair in zip(one.parameters(), other.parameters(), strict=True))


def work(made: qm.Task, samples: qm.Samples) -> Work:
    quantizers = tuple(map(QUANTIZERS.parse, ("identity", "gptq(bits=3)", "stochastic_rounding(bits=3)")))
    plan = member(samples)[:PAIR]
    plan[:, np.arange(len(samples)) % 6 < 2] = False  # held out
    engine = Engine("loop", PAIR, 1, torch.get_num_threads(), {}, {})
    checkpoints = (1,) if made.has_adapters else ()
    return Work(made, samples, plan, quantizers, 0, engine, checkpoints, PAIR, "all")


def require_same(one: Group, other: Group) -> None:
    assert set(one.versions) == set(other.versions)
    for number, rows in one.versions.items():
        assert rows.traits == other.versions[number].traits
        assert set(rows.arrays) == set(other.versions[number].arrays)
        for name, values in rows.arrays.items():
            np.testing.assert_allclose(values, other.versions[number].arrays[name], atol=1e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [2, None])
def test_versions_made_one_at_a_time_are_those_of_all_at_once(
    base: Path, samples: qm.Samples, monkeypatch: pytest.MonkeyPatch, rank: int | None
):
    asked = work(task(base, lora_rank=rank, epochs=1, max_steps=2), samples)
    one_at_a_time = compute(asked, asked.job(range(PAIR)))
    assert one_at_a_time.is_whole
    again = compute(asked, Job(range(PAIR), (0,), one_at_a_time.weights))
    for number, rows in again.versions.items():
        np.testing.assert_array_equal(rows.arrays["losses"], one_at_a_time.versions[number].arrays["losses"])
    monkeypatch.setattr(qm.Task, "is_language", False)
    monkeypatch.setattr(qm.Task, "shares_base", False)
    require_same(one_at_a_time, compute(asked, asked.job(range(PAIR))))


def test_models_on_one_base_are_trained_in_one_process(base: Path, samples: qm.Samples):
    engine = choose_engine(task(base), samples, MODELS)
    assert (engine.kind, engine.group, engine.workers) == ("loop", MODELS, 1)
