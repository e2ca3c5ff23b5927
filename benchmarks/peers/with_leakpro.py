"""Score with LeakPro (Apache-2.0): its LiRA and RMIA on a table instead of on models that it trains."""

from types import SimpleNamespace

import numpy as np
from common import compare, others, without

without("torchvision", "torchvision.transforms", "torchvision.utils", "torchvision.models", "torchvision.datasets")
without("ts2vec", "umap", "transformers", "sentence_transformers", "numba", "torchmetrics", "kornia", "ignite")
from leakpro.attacks.mia_attacks.lira import AttackLiRA  # noqa: E402
from leakpro.attacks.mia_attacks.rmia import AttackRMIA  # noqa: E402


def whole(attack: object, member: np.ndarray) -> np.ndarray:
    """Return the scores in the order of the samples."""
    scores = np.empty(len(member))
    scores[member] = attack.in_member_signals[:, 0]
    scores[~member] = attack.out_member_signals[:, 0]
    return scores


def prepared(kind: type, member: np.ndarray, target: int, **fields: object) -> object:
    """Return an attack that believes it trained the models of the table."""
    inside = {"in_members": np.flatnonzero(member[target]), "out_members": np.flatnonzero(~member[target])}
    configs = kind.AttackConfig()
    settings = {**configs.model_dump(), "configs": configs, "online": True, "audit_dataset": inside, **fields}
    believing = type(kind.__name__, (kind,), settings)  # some of these are properties that train models
    return believing.__new__(believing)


def lira(signal: np.ndarray, member: np.ndarray, target: int) -> np.ndarray:
    """Return online LiRA's scores with a variance for each sample, which it calls "fixed"."""
    rest, label = others(target, len(signal)), np.zeros(signal.shape[1], dtype=int)
    logits = np.stack([signal, np.zeros_like(signal)], axis=2)
    settings = {"num_shadow_models": len(rest), "var_calculation": "fixed", "fix_var_threshold": 32}
    attack = prepared(AttackLiRA, member, target, out_indices=~member[rest], **settings)
    attack.shadow_models_logits = np.array([attack.rescale_logits(logits[row], label) for row in rest])
    attack.target_logits = attack.rescale_logits(logits[target], label)
    attack.run_attack()
    return whole(attack, member[target])


def rmia(signal: np.ndarray, member: np.ndarray, target: int) -> np.ndarray:
    """Return online RMIA's scores with all samples as population, gamma 1."""
    rest, samples = others(target, len(signal)), np.arange(signal.shape[1])
    logits = np.stack([signal, np.zeros_like(signal)], axis=2)
    handler = SimpleNamespace(
        train_indices=samples,
        test_indices=samples[:0],
        target_model=None,
        get_labels=lambda index: np.zeros(len(index), dtype=int),
    )
    attack = prepared(
        AttackRMIA,
        member,
        target,
        load_for_optuna=True,
        gamma=1.0,
        z_data_sample_fraction=1.0,
        temperature=1.0,
        epsilon=1e-6,
        handler=handler,
        attack_data_indices=samples,
        ground_truth_indices=np.zeros(len(samples), dtype=int),
        logits_theta=logits[target],
        logits_shadow_models=[logits[row] for row in rest],
        shadow_models=[None] * len(rest),
    )
    attack.prepare_attack()
    attack.run_attack()
    return whole(attack, member[target])


compare(lira=lira, rmia=rmia)
