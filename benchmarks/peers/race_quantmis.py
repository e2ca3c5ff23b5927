"""Train as an audit of ours does, one thread, and fill the table in full precision."""

import sys
import time

import numpy as np
from common import peak
from racing import BATCH, NETS, RATE, processor_seconds

from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.work import Work
from quantmis.data import Samples
from quantmis.models import Recipe, Task
from quantmis.models.engine import Engine, choose_engine
from quantmis.quantizers import Identity


def alone(engine: Engine) -> Engine:
    """Return the same way of training, in this process and one thread."""
    return Engine(engine.kind, engine.group, 1, 1, engine.seconds, engine.reasons)


def main() -> None:
    """Train the models of the file and write seconds and memory."""
    with np.load(sys.argv[1], allow_pickle=False) as file:
        samples, member = Samples(file["x"], file["y"]), file["member"]
        recipe = Recipe(epochs=int(file["epochs"]), batch_size=BATCH, learning_rate=RATE)
        task = Task(NETS[str(file["net"])], recipe=recipe)
    before, wall, start = peak(), time.perf_counter(), processor_seconds()
    engine = alone(choose_engine(task, samples, len(member), sys.argv[4]))
    work = Work(task, samples, member, (Identity(),), 0, engine)
    collect(work, Local(), None, tick=lambda done: None)
    taken = np.array([processor_seconds() - start, time.perf_counter() - wall]) / len(member)
    np.savez(sys.argv[2], seconds=taken, memory=np.array([before, peak()]), kind=np.array(engine.kind))


if __name__ == "__main__":
    main()
