"""Claims about recipes that start processes of their own in a process per core; `test_ray` has that of a cluster."""

import numpy as np
import pytest
from loading_work import loading

from quantmis.audit.execution.computing import compute
from quantmis.audit.execution.executors import Local
from quantmis.data import Samples


@pytest.mark.slow
def test_a_recipe_may_load_its_batches_in_processes_of_its_own(digits: Samples):
    """In a process per core the same rows as in this one."""
    work = loading(digits)
    for rows, group in Local().run(work, map(work.job, work.groups()), lambda done: None):
        expected = compute(work, work.job(rows)).versions[0].arrays["losses"]
        np.testing.assert_allclose(group.versions[0].arrays["losses"], expected, atol=1e-6)
