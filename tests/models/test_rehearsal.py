"""Claims about training as it is tried before it is spent on, and about what the user's code raises in it."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strange_models import Body
from torch import nn

import quantmis as qm
from quantmis.audit.checks import check
from quantmis.audit.execution.planning import membership, plan, planted
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.audit.run import checked
from quantmis.data import Samples
from quantmis.errors import UserError
from quantmis.models import CrossEntropy, Recipe, Task
from quantmis.models.calling import users_errors
from quantmis.models.rehearsal import batch_sizes, rehearse
from quantmis.models.training import Training, train


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))


def frozen() -> nn.Module:
    return nn.Linear(64, 10).requires_grad_(False)


class Sparse(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(17, 4, sparse=True), nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.table((x * 16).long().clamp(0, 16)).mean(1))


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(64, 10, dtype=torch.complex64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.to(torch.complex64) @ self.weight).real


class OnlyInTraining(Body):
    def between(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :99].reshape(len(x), 99) if self.training else x  # the user's line


class Table(nn.Module):
    """Know fewer tokens than the samples hold, those of the first samples among them."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(5, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.table(x).mean(1))


def few(digits: Samples, number: int) -> Samples:
    return digits.take(np.arange(number))


def test_a_last_batch_of_one_in_batch_norm_is_an_error_before_training(digits: Samples):
    with pytest.raises(UserError, match="training fails on a batch of 1 samples: ValueError: Expected more") as refused:
        rehearse(Task(normed), few(digits, 66), members=33)
    assert "choose another batch_size" in str(refused.value.hint)
    assert "BatchNorm1d(8" in str(refused.value.hint)
    rehearse(Task(normed), few(digits, 66), members=32)
    rehearse(Task(normed, recipe=Recipe(batch_size=33)), few(digits, 66), members=33)


def no_number() -> nn.Module:
    module = nn.Linear(64, 10)
    nn.init.constant_(module.weight, float("nan"))
    return nn.Sequential(nn.Flatten(), module)


def making_fails() -> nn.Module:
    raise KeyError("hidden")


def making_ends_the_program() -> nn.Module:
    sys.exit(1)


@pytest.mark.parametrize("make", [making_fails, making_ends_the_program])
def test_an_error_in_the_making_of_a_model_is_the_users(make):
    with pytest.raises(UserError, match=r"the function that makes a model failed: (KeyError: 'hidden'|SystemExit: 1)"):
        Task(make).build(0)


class Leaving(Body):
    """End the program, whose exit code would be taken for an answer of the audit."""

    def between(self, x: torch.Tensor) -> torch.Tensor:
        sys.exit(1)


def test_a_forward_that_ends_the_program_is_an_error_like_others(digits: Samples):
    with pytest.raises(UserError, match="SystemExit: 1"):
        check(Task(Leaving), digits)
    with pytest.raises(UserError, match="SystemExit: 1"):
        rehearse(Task(Leaving), few(digits, 64), members=32)


@pytest.mark.parametrize(
    ("model", "message", "hint"),
    [
        (no_number, "training fails on a batch of 32 samples: the loss is NaN or infinite", "scale the inputs"),
        (Sparse, "training fails on a batch of 32 samples: .*sparse", "rehearsal"),
        (Complex, "complex", ""),
        (frozen, "all of its parameters are frozen", "depth='as-is'"),
        (OnlyInTraining, "training fails on a batch of 32", "the user's line"),
    ],
)
def test_what_cannot_be_trained_is_an_error_before_training(digits: Samples, model, message: str, hint: str):
    with pytest.raises(UserError, match=message) as refused:
        rehearse(Task(model), few(digits, 64), members=32)
    assert hint == "rehearsal" or hint in str(refused.value.hint)


def test_a_sample_that_the_model_cannot_take_is_an_error_before_training():
    x = np.zeros((60, 3), dtype=np.int64)
    x[50] = 5
    with pytest.raises(UserError, match="a fresh model cannot compute the samples: IndexError") as refused:
        rehearse(Task(Table), Samples(x, np.arange(60) % 2), members=30)
    assert "Embedding(5, 4)" in str(refused.value.hint)
    assert "self.head(self.table(x).mean(1))" in str(refused.value.hint)


class Unfinished(CrossEntropy):
    """A loss of the user's own whose signal is yet to be written."""

    def signals(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("the signal")


def test_what_a_loss_raises_or_cannot_hold_is_an_error_before_training(digits: Samples):
    with pytest.raises(
        UserError,
        match=r"a fresh model .* the loss cross_entropy fails on its outputs: NotImplementedError: the signal",
    ):
        rehearse(Task(lambda: nn.Linear(64, 10), Unfinished()), few(digits, 64), members=32)
    far = Samples(digits.x[:64], np.append(np.zeros(63), 1e25))
    with pytest.raises(UserError, match="a fresh model has losses or signals that are NaN or infinite") as refused:
        rehearse(Task(lambda: nn.Linear(64, 1), "mse", Recipe(batch_size=16)), far, members=16)
    assert "scale the targets" in str(refused.value.hint)


def test_rehearsing_leaves_samples_and_streams_alone(digits: Samples):
    samples, stream = few(digits, 64), torch.get_rng_state()
    before = samples.digest()
    rehearse(Task(lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(64, 10))), samples, members=32)
    assert samples.digest() == before
    assert torch.equal(torch.get_rng_state(), stream)


@given(members=st.integers(1, 500), batch=st.integers(1, 300), epochs=st.integers(1, 3), most=st.integers(1, 9))
@settings(deadline=None, max_examples=100)
def test_the_batches_that_are_tried_are_those_that_training_has(members: int, batch: int, epochs: int, most: int):
    """Against the sizes of all batches of an epoch, cut short after some steps."""
    for limit in (None, most):
        recipe = Recipe(epochs=epochs, batch_size=batch, max_steps=limit)
        sizes = [min(batch, members - start) for start in range(0, members, batch)] * epochs
        assert set(batch_sizes(recipe, members)) == set(sizes[:limit])


@pytest.mark.parametrize("kind", ["stacked", "loop"])
def test_what_training_raises_later_is_an_error_with_address_step_and_line(digits: Samples, kind: str):
    class Failing(Body):
        calls = 0

        def between(self, x: torch.Tensor) -> torch.Tensor:
            type(self).calls += 1
            if type(self).calls > 5:
                raise RuntimeError("out of luck")  # the line
            return x

    samples = few(digits, 256)
    member = np.arange(256) % 2 == np.arange(2)[:, None]
    with pytest.raises(
        UserError, match=r"failed at seed address shadow/0 to shadow/1, step \d.*out of luck"
    ) as refused:
        train(Training(Task(Failing), samples, member, range(2), 0, kind))
    assert "# the line" in str(refused.value.hint)


def test_an_error_of_a_recipe_of_the_users_own_names_the_users_line(digits: Samples):
    def recipe(model: nn.Module, samples: Samples, generator: torch.Generator) -> nn.Module:
        return model(torch.ones(3, 65))  # theirs

    member = np.arange(40) % 2 == np.arange(2)[:, None]
    with pytest.raises(UserError, match="the recipe failed at seed address shadow/0: RuntimeError") as refused:
        train(Training(Task(lambda: nn.Linear(64, 10), recipe=recipe), few(digits, 40), member, range(2), 0, "loop"))
    assert "# theirs" in str(refused.value.hint)


def test_errors_that_are_the_users_already_stay_as_they_are():
    with pytest.raises(UserError, match=r"^mine$"), users_errors("doing something"):
        raise UserError("mine")
    with pytest.raises(UserError, match=r"^doing something: KeyError: 'x'$"), users_errors("doing something"):
        raise KeyError("x")
    with pytest.raises(KeyboardInterrupt), users_errors("doing something"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(("number", "batch"), [(63, 32), (401, 256), (21, 32), (95, 1000)])
def test_odd_numbers_of_samples_are_planned_like_even_ones(digits: Samples, number: int, batch: int):
    recipe = Recipe(epochs=1, batch_size=batch)
    asked = audit_request(Task(lambda: nn.Linear(64, 10), recipe=recipe), few(digits, number), None, options())
    asked, member = checked(asked)
    work = plan(asked, member, None)
    assert work.engine.kind in ("stacked", "loop")
    assert len({len(work.training(range(2)).rows(row)) for row in range(2)}) == 1


def options(**chosen: object) -> AuditOptions:
    return AuditOptions(**{"quantizers": ["sign"], "attacks": ["loss_threshold"], "shadows": 2} | chosen)


@pytest.mark.slow
@given(
    number=st.integers(21, 400),
    pairs=st.integers(1, 8),
    held_out=st.floats(0.05, 0.85),
    canaries=st.integers(0, 3),
)
@settings(deadline=None, max_examples=60)
def test_all_models_are_trained_on_as_many_samples_whatever_the_sizes(
    number: int, pairs: int, held_out: float, canaries: int
):
    samples = Samples(np.arange(number, dtype=np.float32)[:, None], np.arange(number) % 2)
    sizes = options(shadows=2 * pairs, held_out=held_out, canaries=2 * canaries)
    asked = audit_request(Task(lambda: nn.Linear(1, 2)), samples, None, sizes)
    behind = planted(asked)
    member = membership(behind, asked.settings, None)
    assert member.shape == (2 * pairs, number + 2 * canaries)
    assert len(set(member.sum(1).tolist())) == 1
    assert set(member.sum(0).tolist()) == {0, pairs}
    assert not member[:, ~np.any(member, axis=0)].any()


def test_an_audit_ends_with_the_users_error_before_it_trains(digits: Samples):
    """As a user meets it: 66 of 98 samples are halved, and 33 leave a batch of one."""
    task = Task(normed, recipe=Recipe(epochs=1))
    chosen = {"quantizers": ["sign"], "attacks": ["loss_threshold"], "shadows": 2, "held_out": 0.32}
    with pytest.raises(UserError, match="batch of 1 samples"):
        qm.audit(task, few(digits, 98), **chosen)
