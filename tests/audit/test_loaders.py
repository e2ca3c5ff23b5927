"""Claims about recipes that start processes of their own in a process per core; `test_ray` has that of a cluster."""

import numpy as np
import pytest
from own_loader import train
from torch import nn

from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.work import Work
from quantmis.data import Samples, complementary_halves
from quantmis.models import Task
from quantmis.models.engine import Engine
from quantmis.quantizers import Identity


def loading(digits: Samples) -> Work:
    few = digits.take(np.arange(80))
    member = complementary_halves(4, 80, np.random.default_rng(0))
    task, engine = Task(lambda: nn.Linear(64, 10), recipe=train), Engine("loop", 2, 2, 1, {}, {})
    return Work(task, few, member, (Identity(),), 0, engine)


@pytest.mark.slow
def test_a_recipe_may_load_its_batches_in_processes_of_its_own(digits: Samples):
    """In a process per core the same rows as in this one."""
    work = loading(digits)
    for rows, group in Local().run(work, work.groups(), lambda done: None):
        expected = compute(work, rows).arrays["0.losses"]
        np.testing.assert_allclose(group.arrays["0.losses"], expected, atol=1e-6)
