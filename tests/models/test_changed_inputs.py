"""Claims about a forward that changes its inputs in place: it computes what its twin does, and changes no data."""

import numpy as np
import pytest
import torch
from strange_models import Changing, Twin
from torch import nn

import quantmis as qm
from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.planning import plan
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.audit.run import checked
from quantmis.data import Samples, complementary_halves
from quantmis.models import Recipe, Task
from quantmis.models.calling import call
from quantmis.models.engine import choose_engine, model_memory
from quantmis.models.rows import forward, row
from quantmis.models.training import Training, train


def test_a_call_on_a_copy_leaves_the_inputs_alone():
    x = torch.ones(3, 64)
    expected = Twin().eval()
    module = Changing()
    module.load_state_dict(expected.state_dict())
    torch.testing.assert_close(call(module, x), expected(x))
    assert torch.equal(x, torch.ones(3, 64))


@pytest.mark.parametrize("kind", ["stacked", "loop"])
def test_it_is_trained_as_its_twin(digits: Samples, kind: str):
    few = digits.take(np.arange(100))
    before = few.digest()
    member = complementary_halves(4, 100, np.random.default_rng(0))
    changed, twin = (
        train(Training(Task(model, recipe=Recipe(epochs=3)), few, member, range(4), 0, kind))
        for model in (Changing, Twin)
    )
    assert few.digest() == before
    for one, other in zip(changed, twin, strict=True):
        for name, value in one.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], atol=1e-6, rtol=0)


def test_its_rows_are_those_of_its_twin_and_asking_twice_changes_nothing(digits: Samples):
    torch.manual_seed(0)
    twin, module = Twin(), Changing()
    module.load_state_dict(twin.state_dict())
    x, y = torch.from_numpy(digits.x[:50].copy()), torch.from_numpy(digits.y[:50])
    before = x.clone()
    task = Task(Changing)
    first, again, expected = (row(each, task.loss, x, y).losses for each in (module, module, twin))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, expected, atol=1e-6)
    assert torch.equal(x, before)
    torch.testing.assert_close(forward(module, x, 1), forward(twin, x), atol=1e-5, rtol=0)


def test_measuring_its_memory_and_choosing_an_engine_leave_the_samples_alone(digits: Samples):
    samples, task = digits.take(np.arange(80)), Task(Changing, recipe=Recipe(epochs=1))
    before = samples.digest()
    model_memory(task, samples)
    assert samples.digest() == before
    choose_engine(task, samples, 4)
    assert samples.digest() == before


def test_every_table_of_an_audit_of_it_is_that_of_its_twin(digits: Samples):
    """All checks, the choice of an engine, training, quantizing and rows."""
    samples = digits.take(np.arange(120))
    before = samples.digest()
    options = AuditOptions(quantizers=["sign"], attacks=["loss_threshold"], shadows=4, engine="stacked")
    groups = []
    for model in (Changing, Twin):
        task = Task(model, recipe=Recipe(epochs=4, learning_rate=1e-2))
        asked, member = checked(audit_request(task, samples, None, options))
        work = plan(asked, member, None)
        groups.append(compute(work, work.job(work.groups()[0])))
        assert samples.digest() == before
    for number, rows in groups[0].versions.items():
        for name, values in rows.arrays.items():
            np.testing.assert_allclose(values, groups[1].versions[number].arrays[name], atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_a_version_that_changes_its_inputs_changes_no_other_version(digits: Samples):
    torch.manual_seed(0)
    x = digits.x[:200].copy()
    model = nn.Sequential(nn.Linear(64, 10))

    def ours(given: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model(given.mul_(1.0).sub_(0.0).add_(1.0) - 1.0)

    target = qm.Target(model, np.arange(100), np.arange(100, 200), versions={"ours": ours, "again": model})
    found = qm.audit(
        Task(lambda: nn.Sequential(nn.Linear(64, 10))),
        Samples(x, digits.y[:200]),
        target=target,
        quantizers=[],
        progress=False,
    )
    np.testing.assert_array_equal(x, digits.x[:200])
    utility = found.frame().set_index("version")["utility"]
    assert utility["ours"] == utility["again"] == utility["identity"]
