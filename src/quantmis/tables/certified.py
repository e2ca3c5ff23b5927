"""What is guaranteed of the models of a loss table by the way they were trained."""

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Certified:
    """Hold (epsilon, delta)-differential privacy of each record, which every version inherits by post-processing.

    `uncovered`: what saw members outside of the guarantee, a phrase each, such as the calibration of a quantizer.
    """

    epsilon: float
    delta: float
    uncovered: tuple[str, ...] = ()

    def as_text(self) -> str:
        """Write it as a table saves it."""
        return json.dumps(asdict(self), sort_keys=True)


def certified_in(text: str) -> Certified:
    """Read what `as_text` wrote.

    >>> certified_in(Certified(1.0, 1e-5, ("a scaler",)).as_text())
    Certified(epsilon=1.0, delta=1e-05, uncovered=('a scaler',))
    """
    words: dict[str, Any] = json.loads(text)
    return Certified(float(words["epsilon"]), float(words["delta"]), tuple(map(str, words["uncovered"])))
