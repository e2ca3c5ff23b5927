"""The blind baseline: somebody who never sees the model tries to tell members from non-members.

Members and non-members that were not drawn from one pool often differ by themselves: other years, other sources,
other labels. An attack then seems to succeed although the model gives nothing away. Two usual classifiers, one of
straight and one of bent boundaries, learn to tell the sets apart from inputs and targets alone; where either does so
on samples that it has not seen, every number about the model may show the difference of the sets instead.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from quantmis import seeds
from quantmis.data import Samples
from quantmis.data.tokens import PADDING
from quantmis.errors import require
from quantmis.results import BlindBaseline
from quantmis.stats import Estimate, Metrics, Unmeasured, evaluate
from quantmis.stats.groups import require_groups

MOST = 4000
"""As many samples of a kind are enough to see any difference that matters."""

COMPONENTS = 128
BUCKETS = 512
FOLDS = 5
TRIED = 2


@dataclass(frozen=True, eq=False)
class BlindScores:
    """Hold how likely classifiers that never see the model call each sample a member, by their names, [samples].

    `member` [samples] says who was one; `groups` [samples] which samples belong together, None where each is by itself.
    """

    probabilities: dict[str, Float[np.ndarray, " samples"]]
    member: Bool[np.ndarray, " samples"]
    groups: Shaped[np.ndarray, " samples"] | None

    def baseline(self, level: float) -> BlindBaseline:
        """Return the stronger of the classifiers, at the level at which the intervals of both hold together."""
        metrics = {name: _metrics(each, self.member, level, self.groups) for name, each in self.probabilities.items()}
        name = max(metrics, key=lambda each: metrics[each].auc.low)
        how = f"{name} on inputs and targets, {FOLDS}-fold cross-validation, {len(self.member)} samples"
        return BlindBaseline(
            method=f"{how}; the stronger of {TRIED} classifiers",
            auc=metrics[name].auc,
            balanced_accuracy=metrics[name].balanced_accuracy,
            differs=metrics[name].auc.low > 0.5,
        )


def blind_scores(
    samples: Samples,
    classes: np.ndarray | None,
    member: Bool[np.ndarray, " samples"],
    seed: int,
    groups: Shaped[np.ndarray, " samples"] | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> BlindScores:
    """Let classifiers that never see the model tell members from non-members, in cross-validation.

    `classes` [samples] are the labels where targets are classes. `groups` [samples]: which samples belong together, of
    a patient, say; they are in one fold and count as one draw. `tick` is told of each classifier that is done. Raises
    `UserError` where a group has members and non-members, or where there are fewer than `FOLDS` groups of either.
    """
    if groups is not None:
        require_groups(groups, member[None])
        few = too_few_groups(groups, member)
        require(few is None, f"groups: {few}", hint="give samples of more groups")
    rows = _rows(member, seed)
    together = None if groups is None else groups[rows]
    features = _features(samples.take(rows), None if classes is None else classes[rows])
    probabilities = dict[str, np.ndarray]()
    for name, classifier in _classifiers(seed).items():
        probabilities[name] = _cross_validated(classifier, features, member[rows], together)
        tick(1)
    return BlindScores(probabilities, member[rows], together)


def _classifiers(seed: int) -> dict[str, Any]:
    return {
        "logistic regression": LogisticRegression(C=0.1, max_iter=200),
        "gradient boosting": HistGradientBoostingClassifier(
            max_iter=60, max_leaf_nodes=15, random_state=seeds.integer(seed, "blind", "trees") % 2**31
        ),
    }


def _cross_validated(
    classifier: Any, features: np.ndarray, member: np.ndarray, groups: np.ndarray | None
) -> Float[np.ndarray, " samples"]:
    """Return how likely a classifier that was fitted to the other folds calls each sample a member."""
    fitted = len(features) - math.ceil(len(features) / FOLDS)  # samples in the smallest part that is fitted
    components = min(COMPONENTS, fitted)
    narrower = PCA(components, random_state=0) if features.shape[1] > components else "passthrough"
    pipeline = make_pipeline(StandardScaler(), narrower, classifier)
    split = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = split(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a classifier cut short is still a classifier
        predicted = cross_val_predict(pipeline, features, member, groups=groups, cv=folds, method="predict_proba")
    return np.asarray(predicted)[:, 1].astype(np.float64)


def _metrics(
    probabilities: Float[np.ndarray, " samples"], member: np.ndarray, level: float, groups: np.ndarray | None
) -> Metrics:
    metrics = evaluate(probabilities[None], member[None], 1 - (1 - level) / TRIED, groups=groups)
    right = metrics.balanced_accuracy
    return replace(
        metrics,
        auc=_widened(metrics.auc),
        balanced_accuracy=right if isinstance(right, Unmeasured) else _widened(right),
    )


def _widened(measured: Estimate) -> Estimate:
    """Return an interval for what was learned from the other folds, whose errors are not independent.

    Any two of the classifiers share most of what they were fitted to, so that the folds err together: the variance is
    1 + `FOLDS` / (`FOLDS` - 1) times that of independent tests (Nadeau & Bengio 2003, their corrected one).
    """
    factor = math.sqrt(1 + FOLDS / (FOLDS - 1))
    low, high = (measured.value + factor * (end - measured.value) for end in (measured.low, measured.high))
    return replace(measured, low=max(low, 0.0), high=min(high, 1.0))


def too_few_groups(groups: Shaped[np.ndarray, " samples"], member: Bool[np.ndarray, " samples"]) -> str | None:
    """Say so where the members or the non-members are of fewer groups than there are folds."""
    for name, kind in (("members", member), ("non-members", ~member)):
        count = len(np.unique(groups[kind]))
        if count < FOLDS:
            return f"the {name} are of {count} groups; {FOLDS} are needed to compare the two sets without the model"
    return None


def _rows(member: np.ndarray, seed: int) -> np.ndarray:
    """Return at most as many samples of each kind as matter, in order."""
    stream = seeds.generator(seed, "blind", "samples")
    kinds = (np.flatnonzero(member), np.flatnonzero(~member))
    return np.sort(np.concatenate([stream.permutation(kind)[:MOST] for kind in kinds]))


def _features(samples: Samples, classes: np.ndarray | None) -> Float[np.ndarray, "samples features"]:
    """Return inputs and targets as columns; tokens as how often they and their pairs occur, classes as one each."""
    arrays = [samples.x] if samples.layout is None else samples.layout.arrays(samples.x).values()
    inputs = [_counts(x) if x.dtype.kind in "iu" and x.ndim == 2 else x.reshape(len(x), -1) for x in arrays]
    targets = samples.y.reshape(len(samples), -1) if classes is None else np.unique(classes) == classes[:, None]
    return np.concatenate([*inputs, targets], axis=1).astype(np.float64)


def _counts(tokens: Integer[np.ndarray, "samples longest"]) -> Float[np.ndarray, "samples features"]:
    """Return how often each token occurs in a sequence, and each pair of neighbours.

    Where there are more of them than `BUCKETS`, some share a column (feature hashing), so that any vocabulary fits.
    """
    pairs = tokens[:, :-1].astype(np.int64) * (int(tokens.max()) + 1) + tokens[:, 1:]
    pairs[tokens[:, 1:] == PADDING] = PADDING
    return np.concatenate([_occurrences(tokens), _occurrences(pairs)], axis=1)


def _occurrences(numbers: Integer[np.ndarray, "samples longest"]) -> Float[np.ndarray, "samples columns"]:
    values, place = np.unique(numbers, return_inverse=True)
    spread = np.random.default_rng(0).permutation(len(values)) % BUCKETS
    counts = np.zeros((len(numbers), min(len(values), BUCKETS)), dtype=np.float32)
    np.add.at(counts, (np.arange(len(numbers))[:, None], spread[place.reshape(numbers.shape)]), 1.0)
    return counts
