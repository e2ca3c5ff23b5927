"""Score with ours, in a process as fresh as the peers' are."""

import numpy as np
from common import compare

from quantmis.attacks import RMIA, LiRA, LossThreshold
from quantmis.attacks.base import Attack
from quantmis.evidence import Evidence


def by(attack: Attack):
    """Return a function that scores all models of a table at once."""
    return lambda signal, member: attack.score(Evidence(np.logaddexp(0, -signal), member, signal=signal))


compare(
    at_once=True,
    lira=by(LiRA(variance="per_example")),
    rmia=by(RMIA()),
    rmia_offline=by(RMIA(online=False)),
    loss=by(LossThreshold()),
)
