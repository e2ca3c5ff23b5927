"""A guarantee of differential privacy that somebody declares of a training of their own, such as a run of Opacus."""

from dataclasses import dataclass

from quantmis.errors import require
from quantmis.theory.privacy import require_guarantee


@dataclass(frozen=True)
class Certificate:
    """Declare that a training function keeps (epsilon, delta)-differential privacy of each record, and who counted.

    `by`: the library and its version. The audit holds attacks against it. Raises `UserError` for what guarantees
    nothing.

    >>> Certificate(epsilon=3.0, delta=1e-5, by="opacus 1.5").epsilon
    3.0
    """

    epsilon: float
    delta: float
    by: str

    def __post_init__(self):
        require_guarantee(self.epsilon, self.delta)
        require(self.epsilon > 0, "certificate: epsilon 0 would mean that nothing was learnt", hint="a number above 0")
        require(self.by.strip(), "certificate.by: expected what counted it, such as 'opacus 1.5'")
