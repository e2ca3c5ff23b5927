"""Score with SACRO-ML (MIT): the part of its LiRA that follows the training of its shadow models."""

import tempfile

import numpy as np
from common import compare, others
from sacroml.attacks.likelihood_attack import LIRAAttack


def lira(signal: np.ndarray, member: np.ndarray, target: int) -> np.ndarray:
    """Return online LiRA's scores with a variance for each sample."""
    rest, probability = others(target, len(signal)), 1 / (1 + np.exp(-signal))
    out_conf, in_conf = (
        {
            sample: [signal[row, sample] for row in rest if member[row, sample] == inside]
            for sample in range(signal.shape[1])
        }
        for inside in (False, True)
    )
    predictions = np.stack([probability[target], 1 - probability[target]], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        attack = LIRAAttack(output_dir=folder, write_report=False, n_shadow_models=len(rest), mode="online-carlini")
        scores, _ = attack._compute_scores(np.zeros(signal.shape[1], dtype=int), predictions, out_conf, in_conf)
    return np.array(scores)[:, 1]


compare(lira=lira)
