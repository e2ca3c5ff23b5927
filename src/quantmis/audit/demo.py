"""The demo: nothing but a call of `quantmis.audit` on data that comes with scikit-learn."""

from pathlib import Path

from sklearn.datasets import load_digits
from torch import nn

from quantmis.audit import audit
from quantmis.audit.result import AuditResult
from quantmis.data import Samples
from quantmis.models import Recipe, Task

RECIPE = Recipe(epochs=40, batch_size=32, learning_rate=1e-3)


class DigitsMLP(nn.Sequential):
    """Classify images of 8 x 8 pixels into ten digits."""

    def __init__(self):
        super().__init__(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def digits(out: Path, shadows: int = 64, seed: int = 0, engine: str = "auto", executor: str = "local") -> AuditResult:
    """Audit an MLP on the 1,797 handwritten digits of scikit-learn and write the report into `out`."""
    images, labels = load_digits(return_X_y=True)
    task = Task(model=DigitsMLP, loss="cross_entropy", recipe=RECIPE)
    command = f"quantmis demo --shadows {shadows} --seed {seed}"
    return audit(
        task,
        Samples(images / 16, labels),
        shadows=shadows,
        seed=seed,
        engine=engine,
        executor=executor,
        out=out,
        command=command,
    )
