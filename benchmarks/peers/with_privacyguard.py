"""Score with PrivacyGuard (Apache-2.0), which takes data frames of scores."""

import numpy as np
import pandas as pd
from common import compare, others
from privacy_guard.analysis.mia.aggregate_analysis_input import AggregationType
from privacy_guard.attacks.lira_attack import LiraAttack
from privacy_guard.attacks.rmia_attack import RmiaAttack


def lira(signal: np.ndarray, member: np.ndarray, target: int) -> np.ndarray:
    """Return online LiRA's scores from means and deviations of our making, divisor n - 1."""
    rest = others(target, len(signal))
    columns = {"user_id": np.arange(signal.shape[1]), "score_orig": signal[target]}
    for name, side in (("in", member[rest]), ("out", ~member[rest])):
        values = np.where(side, signal[rest], np.nan)
        columns |= {
            f"score_mean_{name}": np.nanmean(values, axis=0),
            f"score_std_{name}": np.nanstd(values, axis=0, ddof=1),
        }
    frame = pd.DataFrame(columns)
    inside = member[target]
    attack = LiraAttack(frame[inside].copy(), frame[~inside].copy(), AggregationType.NONE, online_attack=True)
    attack.run_attack()
    return pd.concat([attack.df_train_merge, attack.df_test_merge]).sort_values("user_id")["score"].to_numpy()


def rmia(signal: np.ndarray, member: np.ndarray, target: int) -> np.ndarray:
    """Return online RMIA's scores; the population is the table's own samples."""
    rest = others(target, len(signal))
    probability = 1 / (1 + np.exp(-signal))
    columns = {"user_id": np.arange(signal.shape[1]), "score_orig": probability[target]}
    columns |= {f"score_ref_{number}": probability[row] for number, row in enumerate(rest)}
    columns |= {f"member_ref_{number}": member[row] for number, row in enumerate(rest)}
    frame, inside = pd.DataFrame(columns), member[target]
    # the number of references is bounded by half of the population's columns
    attack = RmiaAttack(
        frame[inside].copy(), frame[~inside].copy(), frame, AggregationType.NONE, len(rest), online=True
    )
    attack.run_attack()
    return pd.concat([attack.df_train_merge, attack.df_test_merge]).sort_values("user_id")["score"].to_numpy()


compare(lira=lira, rmia=rmia)
