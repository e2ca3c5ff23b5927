"""The work of an audit whose recipe loads its batches in processes of its own."""

import numpy as np
from own_loader import train
from torch import nn

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
