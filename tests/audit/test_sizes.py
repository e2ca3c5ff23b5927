"""Claims about sizes: what `audit` takes, `plan` takes, whatever the numbers of samples, batches and models."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from quantmis.audit.estimate.attack_timing import ENOUGH, EVERY, _columns
from quantmis.audit.estimate.plan import measure
from quantmis.audit.execution.planning import membership, plan, planted
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.data import Samples, complementary_halves
from quantmis.models import Recipe, Task
from quantmis.models.engine import _probe


@given(
    samples=st.integers(2, 20_000),
    held_out=st.floats(0.01, 0.95),
    shuffled=st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_the_columns_that_stand_for_all_are_an_even_number(samples: int, held_out: float, shuffled: bool):
    """Every fourth audited one, whichever they are, and all of the others, so that controls can halve them."""
    audited = np.arange(samples) < round(samples * (1 - held_out)) // 2 * 2
    is_audited = np.random.default_rng(0).permutation(audited) if shuffled else audited
    columns = _columns(is_audited)
    some = int((columns & is_audited).sum())
    assert columns[~is_audited].all()
    assert some % 2 == 0
    if audited.sum() < ENOUGH * EVERY:
        assert columns.all()
    else:
        assert -1 < audited.sum() / EVERY - some < 2
        complementary_halves(2, some, np.random.default_rng(0))


@given(samples=st.integers(20, 700), batch=st.integers(1, 400), models=st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_the_engine_is_tried_on_halves_of_one_size(samples: int, batch: int, models: int):
    """Both models of a pair have a whole batch where there are samples for it."""
    task = Task(lambda: nn.Linear(1, 2), recipe=Recipe(batch_size=batch))
    probe = _probe(task, Samples(np.zeros((samples, 1)), np.arange(samples) % 2), 2 * models)
    sizes = {len(probe.rows(row)) for row in range(len(probe.indices))}
    assert sizes == {min(samples // 2, max(batch, 20))}
    assert next(iter(probe.batches(task.recipe))).shape == (2 * models, min(batch, samples // 2, max(batch, 20)))


def test_plan_measures_the_attacks_at_a_size_whose_fourth_part_is_odd():
    draw = np.random.default_rng(0)
    options = AuditOptions(quantizers=["sign"], attacks=["loss_threshold"], shadows=2, engine="stacked")
    task = Task(lambda: nn.Linear(4, 2), recipe=Recipe(epochs=1))
    for samples in range(1200, 1240):
        given = Samples(draw.normal(size=(samples, 4)), draw.integers(0, 2, samples))
        asked = audit_request(task, given, None, options)
        member = membership(planted(asked), asked.settings, None)
        if np.any(member, axis=0)[::EVERY].sum() % 2:
            break
    found = measure(plan(asked, member, None), asked.settings)
    assert found.attack is not None
    assert found.attack > 0
