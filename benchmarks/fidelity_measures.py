"""What the fidelity study compares: numbers that order quantizers by what they give away, from few trainings.

A measure takes the tables of a few trainings (`Few`) and returns one number per quantizer, higher = more exposed. The
numbers of theory and the distortion are negated, since their larger values mean more private.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import rankdata

from quantmis.analysis.ranking import rank
from quantmis.attacks import RMIA, Calibrated, GaussianPlugIn, LiRA, PairedReplicates
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.stats import Difference, distortion
from quantmis.stats.cluster import Linear
from quantmis.stats.compare import compare_metrics
from quantmis.theory import chernoff_rate, gaussian_rate
from quantmis.theory.candidates import gaps
from quantmis.theory.indicator import AGGREGATES, _table

LEVEL = 0.95
LISTED, EXPOSURE, DISTORTION = "**the list of an audit**", "paired_replicates, exposure", "distortion, negated"
BITS = (32, 8, 4, 4, 3, 2, 3, 2, 1, 1.58, 1.58, 1.58)
ZEROS = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0.33, 0.5, 0.9)


@dataclass(frozen=True, eq=False)
class Few:
    """Hold a few trainings: each quantizer's table of all samples, and which of these are `is_audited`."""

    everything: tuple[Evidence, ...]
    is_audited: np.ndarray

    @property
    def trainings(self) -> int:
        """How many models there are."""
        return self.everything[0].models

    @cached_property
    def tables(self) -> tuple[Evidence, ...]:
        """The audited table of each quantizer."""
        return tuple(each.columns(self.is_audited) for each in self.everything)

    @cached_property
    def held_out(self) -> np.ndarray:
        """The losses on samples that no model was trained on, [quantizers, models, samples]."""
        return np.stack([each.losses[:, ~self.is_audited] for each in self.everything])

    @cached_property
    def distortion(self) -> list[float]:
        """How much each quantizer upsets the losses of samples not trained on."""
        return [distortion(self.everything[0], each) for each in self.everything]

    @cached_property
    def exposure(self) -> dict[str, Linear]:
        """The exposure between twins, by the number of the quantizer."""
        return {str(number): PairedReplicates().movement(table) for number, table in enumerate(self.tables)}

    @cached_property
    def compared(self) -> list[Difference]:
        """The AUC between twins of every two quantizers compared, by which audits state orders."""
        areas = {str(number): PairedReplicates().area(table) for number, table in enumerate(self.tables)}
        return compare_metrics(areas, self.tables[0].member)


Measure = Callable[[Evidence], float]


def area(scores: np.ndarray, member: np.ndarray) -> float:
    """Return the AUC, ties counted half."""
    rank = rankdata(scores)[member.ravel()].sum()
    inside, outside = member.sum(), (~member).sum()
    return float((rank - inside * (inside + 1) / 2) / inside / outside)


def twins(table: Evidence, values: np.ndarray) -> np.ndarray:
    """Return the values of a model less those of its twin."""
    return values - values[table.twin]


def towards(table: Evidence, values: np.ndarray) -> np.ndarray:
    """Return by how much values rise with membership, between twins."""
    return np.where(table.member, 1, -1) * twins(table, values)


def by_class(table: Evidence) -> float:
    """Return the mean rise of the signal, each class's mean change between the twins taken out first."""
    change = twins(table, table.signals)
    label = np.zeros(table.samples, int) if table.label is None else table.label
    whole = np.eye(label.max() + 1)[label]
    rises = []
    for row, member in zip(change, table.member, strict=True):
        design = np.column_stack([whole, np.where(member, 1.0, -1.0)])
        rises.append(np.linalg.lstsq(design, row, rcond=None)[0][-1])
    return float(np.mean(rises))


def _between(table: Evidence) -> float:
    change = towards(table, table.signals)
    return float(change.mean() / change.std())


ATTACKS: dict[str, tuple[int, Measure]] = {
    "loss_threshold, AUC": (1, lambda table: area(-table.losses, table.member)),
    "modified_entropy, AUC": (1, lambda table: np.nan if table.entropy is None else area(-table.entropy, table.member)),
    "mean signal, members less others": (
        1,
        lambda table: table.signals[table.member].mean() - table.signals[~table.member].mean(),
    ),
    "calibrated, AUC": (4, lambda table: area(Calibrated().score(table), table.member)),
    "rmia, AUC": (4, lambda table: area(RMIA().score(table), table.member)),
    "lira, AUC": (8, lambda table: area(LiRA().score(table), table.member)),
    "gaussian_plug_in, AUC": (8, lambda table: area(GaussianPlugIn().score(table), table.member)),
    "gaussian_plug_in, advantage": (8, lambda table: GaussianPlugIn().advantage(table).value),
    EXPOSURE: (2, lambda table: PairedReplicates().movement(table).value),
    "paired_replicates, AUC": (2, lambda table: area(twins(table, table.signals), table.member)),
    "twins, AUC of losses": (2, lambda table: area(-twins(table, table.losses), table.member)),
    "twins, share of samples that rise": (2, lambda table: float((towards(table, table.signals) > 0).mean())),
    "twins, mean rise / its deviation": (2, _between),
    "twins, mean rise of the signal": (2, lambda table: float(towards(table, table.signals).mean())),
    "twins, mean rise, class means taken out": (2, by_class),
    "twins, mean rise of probability": (2, lambda table: float(towards(table, np.exp(-table.losses)).mean())),
    "twins, class means out / deviation^0.75": (
        2,
        lambda table: by_class(table) / towards(table, table.signals).std() ** 0.75,
    ),
}


def pairs(losses: np.ndarray) -> float:
    """Return the value of `theory.indicator`, before what cannot be told from 0 is replaced by an upper bound."""
    try:
        return _table(losses, None, AGGREGATES["pairs"], seed=0).value()
    except UserError:  # training reached one quantized model only
        return float("nan")


def median(losses: np.ndarray) -> float:
    """Return the rate of the best training against the median other."""
    best = losses.mean(1).argmin()
    return float(np.median(np.delete(gaps(losses).rate[best], best)))


def apart(losses: np.ndarray) -> float:
    """Return how much trainings differ at a sample against how much samples differ, in probability."""
    probability = np.exp(-losses)
    return float(probability.var(0).mean() / probability.var(1).mean())


THEORY: dict[str, tuple[int, Callable[[np.ndarray], float]]] = {
    "r_Q, pairs (default)": (2, lambda losses: -pairs(losses)),
    "r_Q, median": (2, lambda losses: -median(losses)),
    "r_Q, min": (2, lambda losses: -gaussian_rate(losses)),
    "Chernoff rate": (2, lambda losses: -chernoff_rate(losses)),
    "held-out loss, negated": (1, lambda losses: -float(losses.mean())),
    "variance of the held-out loss": (1, lambda losses: float(losses.var(1).mean())),
    "spread between trainings, negated": (2, lambda losses: -apart(losses)),
}


def listed(few: Few) -> list[float]:
    """Return the place of each quantizer in the ranking of an audit, the least exposed first."""
    exposure = {name: each.value for name, each in few.exposure.items()}
    rows = rank(exposure, few.compared, LEVEL, {str(number): each for number, each in enumerate(few.distortion)})
    place = {row.name: number for number, row in enumerate(rows)}
    return [float(place[name]) for name in exposure]


TOGETHER: dict[str, tuple[int, Callable[[Few], list[float]]]] = {
    LISTED: (2, listed),
    DISTORTION: (1, lambda few: [-each for each in few.distortion]),
}


def measured(few: Few) -> dict[str, list[float]]:
    """Return every measure that so few trainings allow, [quantizers] each."""
    enough = few.trainings
    found = {
        name: [float(how(table)) for table in few.tables] for name, (least, how) in ATTACKS.items() if enough >= least
    }
    found |= {
        name: [float(how(losses)) for losses in few.held_out]
        for name, (least, how) in THEORY.items()
        if enough >= least
    }
    found |= {name: how(few) for name, (least, how) in TOGETHER.items() if enough >= least}
    return {name: values for name, values in found.items() if not np.isnan(values).any()}


WITHOUT_TRAINING = {
    "bits": np.array(BITS, dtype=float),
    "bits, then zeros": np.array(BITS) - 1.5 * np.array(ZEROS),
}
