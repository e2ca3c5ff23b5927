"""Claims about the two-level store: another quantizer trains nothing, and only what decides a number invalidates it."""

from pathlib import Path

import pytest
import torch
from edited_code import forget
from resumable import requested, work
from torch import nn

import quantmis as qm
from quantmis.audit.execution import computing, executors, own_code
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.planning import membership, plan, planted
from quantmis.audit.execution.store import Store
from quantmis.audit.execution.trained import restored, tensors_of
from quantmis.audit.execution.work import Group, Job, Weights, Work
from quantmis.models.training import train
from quantmis.quantizers import MatchedNoise, Sign

pytestmark = pytest.mark.slow

FEW = {"shadows": 4, "replicates": 4, "recipe": qm.Recipe(epochs=4), "checkpoint_every": 2}
TRAINING, SIGN, UNIFORM = "quantmis.models.training", "quantmis.quantizers.sign", "quantmis.quantizers.uniform"
SCORING = "quantmis.audit.execution.computing"


def rows_of(groups: dict[range, Group]) -> dict[tuple[int, int, str], bytes]:
    return {
        (rows.start, number, name): array.tobytes()
        for rows, group in groups.items()
        for number, version in group.versions.items()
        for name, array in version.arrays.items()
    }


def collected(asked: Work, folder: Path):
    return collect(asked, Local(), Store(folder), lambda done: None)


def test_another_quantizer_trains_nothing_and_gives_what_training_it_too_gives(tmp_path: Path, monkeypatch):
    collected(work(**FEW), tmp_path)
    more = work(**FEW, quantizers=["sign", "gptq(bits=3)", "stochastic_rounding(bits=2)"])
    expected = rows_of(collect(more, Local(), None, lambda done: None).groups)
    monkeypatch.setattr(computing, "train", lambda *a, **k: pytest.fail("a model was trained"))
    found = collected(more, tmp_path)
    assert rows_of(found.groups) == expected
    assert {name for _, _, name in expected} >= {"losses", "signals", "earlier"}
    assert found.reused == more.groups()


def test_only_the_rows_that_are_missing_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = work(**FEW)
    whole = rows_of(collected(asked, tmp_path).groups)
    [first, *_] = sorted((tmp_path / "rows").iterdir())
    first.unlink()
    jobs: list[Job] = []

    def heard(work: Work, job: Job, tick: object) -> Group:
        jobs.append(job)
        return compute(work, job)

    monkeypatch.setattr(executors, "compute", heard)
    assert rows_of(collected(asked, tmp_path).groups) == whole
    assert [len(job.quantizers) for job in jobs] == [1]
    assert jobs[0].weights is not None
    assert rows_of(collected(asked, tmp_path).groups) == whole
    assert len(jobs) == 1


def test_noise_is_the_same_beside_its_quantizer_which_then_rounds_once(monkeypatch: pytest.MonkeyPatch):
    asked = work(**FEW, quantizers=["sign"])
    [own] = [number for number, each in enumerate(asked.quantizers) if each == Sign()]
    [noise] = [number for number, each in enumerate(asked.quantizers) if each == MatchedNoise(of=Sign())]
    rows, real, rounded = asked.groups()[0], Sign.encode, list[int]()
    monkeypatch.setattr(Sign, "encode", lambda self, weight: rounded.append(1) or real(self, weight))
    alone, after_alone = compute(asked, Job(rows, (noise,))), len(rounded)
    beside = compute(asked, Job(rows, (own, noise)))
    assert rows_of({rows: Group({noise: beside.versions[noise]})}) == rows_of({rows: alone})
    assert beside.versions[noise].traits == alone.versions[noise].traits
    assert len(rounded) == 2 * after_alone


@pytest.mark.parametrize("keep", ["adapters", "none"])
def test_weights_that_are_not_to_be_kept_are_not_kept_and_rows_are_the_same(tmp_path: Path, keep: str):
    kept, not_kept = tmp_path / "a", tmp_path / "b"
    assert rows_of(collected(work(**FEW), kept).groups) == rows_of(
        collected(work(**FEW, keep_weights=keep), not_kept).groups
    )
    assert (kept / "weights").exists()
    assert not (not_kept / "weights").exists()
    assert {file.name for file in (kept / "rows").iterdir()} == {file.name for file in (not_kept / "rows").iterdir()}


class Halved(nn.Module):
    """A model that a recipe changes beyond its tensors."""

    def __init__(self):
        super().__init__()
        self.layer, self.factor = nn.Linear(64, 10), 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.factor


def halve(model: nn.Module, samples: qm.Samples, generator: torch.Generator) -> nn.Module:
    model.factor = 0.5
    return model


def test_weights_that_are_not_the_whole_model_are_not_kept_and_it_is_said(tmp_path: Path, capsys):
    request = requested(recipe=halve, shadows=4, replicates=4, checkpoint_every=None, engine="loop")
    object.__setattr__(request.task, "model", Halved)
    asked = plan(request, membership(planted(request), request.settings, None), None)
    first = rows_of(collected(asked, tmp_path).groups)
    assert not (tmp_path / "weights").exists()
    assert "more of a model than its tensors" in capsys.readouterr().err
    assert rows_of(collected(asked, tmp_path).groups) == first


def test_tensors_that_share_memory_are_stored_each_by_itself(tmp_path: Path):
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {"tied": whole, "again": whole, "part": whole[1:], "turned": whole.T, "half": whole.bfloat16()}
    Store(tmp_path).save_weights("key", Weights(tensors))
    found = Store(tmp_path).load_weights("key")
    assert found is not None
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())
    assert {name: each.dtype for name, each in found.tensors.items()} == {n: t.dtype for n, t in tensors.items()}


def test_models_come_back_as_training_left_them():
    """Batch normalisation counts too, which has an integer."""

    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))

    asked = work(**FEW)
    task = qm.Task(net, recipe=qm.Recipe(epochs=2))
    asked = Work(task, asked.samples, asked.member, asked.quantizers, 0, asked.engine)
    modules = dict(enumerate(train(asked.training(range(2)))))
    again = restored(asked, Weights(tensors_of(asked, modules)), range(2))
    for index, module in modules.items():
        for name, value in module.state_dict().items():
            assert torch.equal(again[index].state_dict()[name], value), name


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("quantizers/ranges.py", ".round()).clamp", ".floor()).clamp", {UNIFORM}),
        ("quantizers/sign.py", "weight < 0", "weight <= 0", {SIGN}),
        ("quantizers/uniform.py", "Evenly spaced levels", "Levels", set[str]()),
        ("quantizers/codebook.py", "must be at least 1, got", "must be larger, got", set[str]()),
        ("quantizers/base.py", "must be one of", "is to be one of", set[str]()),
        ("errors.py", "Say what was expected", "Tell what was expected", set[str]()),
        ("models/training.py", "diverged", "went astray", set[str]()),
        ("models/training.py", "zero_grad()", "zero_grad(set_to_none=False)", {TRAINING, SCORING}),
        ("seeds.py", "sha256", "sha512", {TRAINING, SCORING}),
        ("attacks/lira.py", "log", "exp", set[str]()),
    ],
)
def test_what_decides_a_number_counts_and_nothing_else(copied: Path, file: str, old: str, new: str, changes: set[str]):
    names = [*changes, *({TRAINING, SIGN, UNIFORM} - changes)]
    before = {name: own_code.own_code(name) for name in names}
    path = copied / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    forget()
    assert {name for name in names if own_code.own_code(name) != before[name]} == changes
