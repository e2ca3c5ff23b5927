"""How much quantizing upsets what models make of samples that they were not trained on.

Distortion knows nothing of membership. Yet what a quantizer upsets in a model's losses tells members from others less
well, as a rule: distortion from one or two trainings orders quantizers much as the strongest attacks with 64 shadow
models do (benchmarks/RESULTS.md, section fidelity). It says nothing of *how much* is given away, and a quantizer that
upset only samples that were not trained on would deceive it.
"""

import numpy as np
import scipy
from jaxtyping import Float

from quantmis.errors import require
from quantmis.evidence import Evidence

MOST_MODELS = 16
"""So many models are looked at: 64 order about one pair of quantizers in a hundred the other way."""
FEWEST_SAMPLES = 3


def distortion(whole: Evidence, quantized: Evidence) -> float:
    """Return 1 - |Spearman's correlation| of losses before and after quantizing, on samples not trained on.

    From 0, where the losses keep their order, to 1, where nothing is left of it, as where all become equal. The
    correlation is the mean over at most `MOST_MODELS` models. `whole` is the table of the same models and samples in
    full precision. Raises `UserError` for tables of other shapes, and where fewer than `FEWEST_SAMPLES` samples were
    not trained on.

    >>> whole = Evidence(np.array([[0.1, 0.2, 0.4, 0.8]]), np.zeros((1, 4), dtype=bool))
    >>> upset = Evidence(np.array([[0.2, 0.1, 0.4, 0.8]]), whole.member)
    >>> round(distortion(whole, upset), 3)
    0.2
    """
    require(
        whole.losses.shape == quantized.losses.shape,
        f"distortion compares tables of the same models and samples, got {whole.losses.shape} and "
        f"{quantized.losses.shape}",
    )
    untrained = ~whole.member[:MOST_MODELS]
    require(
        int(untrained.sum(1).min()) >= FEWEST_SAMPLES,
        f"distortion needs {FEWEST_SAMPLES} samples that a model was not trained on",
    )
    before, after = (table.losses[:MOST_MODELS] for table in (whole, quantized))
    correlations = [_correlation(a[mine], b[mine]) for a, b, mine in zip(before, after, untrained, strict=True)]
    return 1 - abs(float(np.mean(correlations)))


def _correlation(first: Float[np.ndarray, " samples"], second: Float[np.ndarray, " samples"]) -> float:
    """Return Spearman's correlation, 0 where one of the two is constant."""
    a, b = (scipy.stats.rankdata(each) - (len(each) + 1) / 2 for each in (first, second))
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0
