"""Attacks on several versions of a model at once: what somebody has who holds everything that was published.

An attack of `quantmis.attacks` reads the loss table of one version. Whoever publishes a model in full precision, in 8
bits and in seven files of GGUF publishes all of them, and what rounding hides in one version may show in another, or in
how they differ. The attacks here read the tables of a *release set*, which are over the same models and the same
samples. NumPy and SciPy only.
"""

from quantmis.joint.aligned import aligned
from quantmis.joint.features import Features
from quantmis.joint.likelihood_ratio import JointLikelihoodRatio
from quantmis.joint.stacked import from_references, over_pairs, over_samples

__all__ = [
    "DESCRIPTIONS",
    "Features",
    "JointLikelihoodRatio",
    "aligned",
    "from_references",
    "over_pairs",
    "over_samples",
]

JOINT_LIRA, STACKED, DIFFERENCES, MEAN = "joint_lira", "stacked", "version_differences", "mean_of_versions"
OF_ONE_ATTACK = "stacked(attack)"

DESCRIPTIONS = {
    JOINT_LIRA: "The likelihood-ratio attack on all versions together: asks which of two groups of models, trained "
    "with the record or without it, the losses under all versions resemble, allowing for how versions err alike.",
    STACKED: "Learns from other models, or from half of the records, how much to trust each attack on each version, "
    "the joint likelihood ratio and the differences between versions, and adds them up.",
    OF_ONE_ATTACK: "Learns in the same way how much to trust one attack on each version.",
    DIFFERENCES: "Looks at nothing but how the loss of a record differs from one version to another.",
    MEAN: "Adds up all attacks on all versions, each by the ranks of its scores, and learns nothing.",
}
"""What people read of the joint attacks, by name."""
