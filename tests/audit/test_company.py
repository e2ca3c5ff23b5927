"""Claims about versions whose predictions depend on the samples beside a sample: their rows are of each alone."""

import numpy as np
import pytest
import torch
from torch import nn

from quantmis.audit.execution.computing import compute, is_foreign
from quantmis.audit.execution.work import Work
from quantmis.data import Samples, complementary_halves
from quantmis.models import Recipe, Task
from quantmis.models.engine import Engine
from quantmis.models.training import train
from quantmis.quantizers import QUANTIZERS, Identity


@pytest.mark.slow
def test_the_rows_of_dynamic_int8_are_those_of_each_sample_alone(digits: Samples):
    """Against one call of ONNX Runtime for each sample."""
    pytest.importorskip("onnxruntime")
    few, dynamic = digits.take(np.arange(80)), QUANTIZERS.parse("onnx.dynamic")
    member = np.pad(complementary_halves(2, 60, np.random.default_rng(0)), ((0, 0), (0, 20)))
    task = Task(lambda: nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)), recipe=Recipe(epochs=3))
    work = Work(task, few, member, (Identity(), dynamic), 0, Engine("stacked", 2, 1, 1, {}, {}))
    group = compute(work, work.job(range(2)))
    assert [
        [each.by_company for each in column] for column in (group.versions[0].traits, group.versions[1].traits)
    ] == [[False, False], [True, True]]
    x, y = torch.from_numpy(few.x), torch.from_numpy(few.y)
    for index, module in enumerate(train(work.training(range(2)))):
        made = dynamic.quantize(module.eval(), x[60:]).model
        alone = torch.cat([made(x[row : row + 1]) for row in range(80)])
        expected = nn.functional.cross_entropy(alone, y, reduction="none").numpy()
        np.testing.assert_allclose(group.versions[1].arrays["losses"][index], expected, atol=1e-5)
        together = nn.functional.cross_entropy(made(x), y, reduction="none").numpy()
        assert np.abs(together - expected).max() > 1e-4  # ten times as far


def test_what_libraries_and_plug_ins_make_is_tried_and_what_we_make_is_not():
    assert not is_foreign(QUANTIZERS.parse("uniform(bits=4)"))
    assert not is_foreign(QUANTIZERS.parse("matched_noise(of=sign)"))
    assert is_foreign(QUANTIZERS.parse("onnx.dynamic"))
