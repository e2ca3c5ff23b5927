"""The record of a guarantee of differential privacy in results.json."""

from pydantic import Field

from quantmis.measures import Record


class CertificateResult(Record):
    """Hold what was guaranteed of each record by the way the models, or the very model, were trained.

    `epsilon` and `delta`: for one record that is added to the training set or removed from it. `accountant`: what
    counted epsilon. `source`: "dp-sgd recipe", "declared" or "dithered head". `noise_multiplier`, `clip_norm`,
    `sampling_rate` and `steps`: what was counted, where that is known. `uncovered`: what saw members outside of the
    guarantee, for all versions, a phrase each; what single versions add to it stands with their measures.
    """

    epsilon: float = Field(gt=0.0)
    delta: float = Field(ge=0.0, lt=1.0)
    accountant: str
    source: str
    noise_multiplier: float | None = None
    clip_norm: float | None = None
    sampling_rate: float | None = None
    steps: int | None = None
    uncovered: tuple[str, ...] = ()
