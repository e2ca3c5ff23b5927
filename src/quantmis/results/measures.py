"""The records of results.json about one quantizer: what was measured, with its interval, or why it was not."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from quantmis.stats import Estimate, Unmeasured

Measured = Estimate | Unmeasured

EARLIER = Unmeasured("not measured by the version of quantmis that made this document")

LIKELIHOOD = "log_likelihood"
"""The utility of language models, higher is better; people are shown the perplexity, lower is better."""

NO_TEXTS = Unmeasured("random texts are planted among texts only")
"""Of a model that is no language model: nothing is missing."""


@dataclass(frozen=True, kw_only=True)
class Utility(Estimate):
    """Hold what a quantized model is worth on held-out samples; `metric` names the measure, higher is better.

    `perplexity`: of a language model, whose metric is the log-likelihood of a token; lower is better.
    """

    metric: str
    perplexity: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class UpperBound(Estimate):
    """Hold an upper bound on membership inference security and the `attack` that gave it."""

    attack: str


@dataclass(frozen=True, kw_only=True)
class RateAt(Estimate):
    """Hold the true positive rate of an attack at the false positive rate `fpr`."""

    fpr: float


@dataclass(frozen=True, kw_only=True)
class UnresolvedAt(Unmeasured):
    """Say why there is no true positive rate at the false positive rate `fpr`."""

    fpr: float


class Record(BaseModel):
    """Refuse fields that the schema does not know, and changes after the fact."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Curve(Record):
    """Hold points of a ROC curve for drawing; the numbers are beside it, with intervals."""

    fpr: list[float]
    tpr: list[float]


class AttackMetrics(Record):
    """Hold what one attack achieved against one quantizer."""

    auc: Measured
    advantage: Measured
    balanced_accuracy: Measured
    epsilon_low: Measured
    tpr: list[RateAt | UnresolvedAt]
    roc: Curve


class AttackResult(Record):
    """Hold one attack in both forms.

    `adaptive`: the attacker's own models went through the same quantizer as the target. `transfer`: they are full
    precision; its failure may be a mere shift of scores rather than privacy, so the adaptive number leads.
    """

    adaptive: AttackMetrics | Unmeasured
    transfer: AttackMetrics | Unmeasured


class ClassExposure(Record):
    """Hold the AUC of the foremost attack within the class `label`."""

    label: int
    auc: Measured


class SampleExposure(Record):
    """Hold how often a model trained on a sample scores it above a model that was not; 1/2 is nothing, 1 always.

    `sample` is its row in the data, counted from 0, `id` what the user calls it.
    """

    sample: int
    id: str
    exposure: Estimate


class CanaryExposure(Record):
    """Hold how well models remember random texts that stood `repeats` times in their training set.

    `exposure_bits` (Carlini et al. 2019): log2 of the number of random texts like them, less log2 of their rank
    among these; a text that was not trained on has 1.4 on average. `greedy` and `sampled`: the share of them that
    models say by heart when given their first half.
    """

    repeats: int
    exposure_bits: Measured
    greedy: Measured
    sampled: Measured


class VersionResult(Record):
    """Hold everything that was measured about one quantizer.

    `bits_per_weight` counts the scales; `sparsity` is the fraction of quantized weights that are zero, as measured;
    `untouched` names the layers left in full precision; `distinct` is how many different quantized models there were
    among the `models`; `table` is the path of the loss table, relative to `results.json`, `table_digest` the SHA-256 of
    its arrays. `change` is how much more often the strongest attacker is right than against full precision, below 0
    where quantizing protects, and `utility_change` the utility minus that of full precision: both paired, over the same
    models and samples. `distortion`: 1 - Spearman's correlation of losses with full precision on samples not trained
    on, by which versions are listed that nothing else tells apart. `by_class` and `most_exposed` are by the foremost
    attack, the most exposed sample first. `canaries`: what became of random texts planted in the training sets of a
    language model. `gain_over_constant_guess`: the utility minus that of the best constant guess on the same samples; `gap`: what
    predictions are worth on members minus what they are worth on the others, which grows with over-fitting.
    """

    name: str
    bits_per_weight: float | Unmeasured
    sparsity: float | Unmeasured
    weights: int | Unmeasured
    untouched: list[str]
    models: int
    distinct: int
    table: str
    table_digest: str = ""
    utility: Utility | Unmeasured
    indicator: Measured
    security: Measured
    security_upper_bound: UpperBound | Unmeasured
    attacks: dict[str, AttackResult]
    change: Measured = EARLIER
    utility_change: Measured = EARLIER
    distortion: float | Unmeasured = EARLIER
    by_class: list[ClassExposure] | Unmeasured = EARLIER
    most_exposed: list[SampleExposure] | Unmeasured = EARLIER
    canaries: list[CanaryExposure] | Unmeasured = EARLIER
    gain_over_constant_guess: Measured = EARLIER
    gap: Measured = EARLIER
