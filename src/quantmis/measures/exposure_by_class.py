"""How exposed each class is."""

from collections.abc import Mapping

import numpy as np

from quantmis.measures.measure import Measure, Number
from quantmis.measures.record import Record
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured, by_class

MOST_CLASSES = 100


class ClassExposure(Record):
    """Hold the AUC of `attack` within the class `label`."""

    label: int
    attack: str
    auc: Estimate | Unmeasured


def exposure_by_class(version: ScoredVersion) -> list[ClassExposure] | Unmeasured:
    """Return the AUC of the lead attack, or of the next that could be carried out, within each class."""
    scores, audited = version.exposing_scores, version.table.audited
    if isinstance(scores, Unmeasured):
        return scores
    if audited.label is None:
        return Unmeasured("the samples have no classes")
    if len(np.unique(audited.label)) > MOST_CLASSES:
        return Unmeasured(f"there are more than {MOST_CLASSES} classes")
    each_other = version.exposing_attack in version.refer and version.table.about == "models"
    level = version.precision.level
    areas = by_class(scores, audited.member, audited.label, level, audited.groups, each_other)
    return [ClassExposure(label=label, attack=version.exposing_attack, auc=auc) for label, auc in areas.items()]


def _numbers(classes: list[ClassExposure]) -> Mapping[str, Number]:
    return {f".{each.label}.auc": each.auc for each in classes}


EXPOSURE_BY_CLASS = Measure[list[ClassExposure]](
    name="exposure_by_class",
    title="Exposure by class",
    sentence="How well members are told from non-members within each class: the area under the ROC curve, 0.5 is a "
    "coin.",
    kind=list[ClassExposure],
    compute=exposure_by_class,
    unit="auc",
    span=(0.0, 1.0),
    bounded=True,
    better="lower",
    order=140,
    limits=("at_most",),
    chance=0.5,
    glossary=False,
    numbers=_numbers,
)
