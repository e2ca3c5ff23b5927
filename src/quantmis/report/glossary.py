"""The words of the report, explained to somebody who has never met them."""

from collections.abc import Sequence

GLOSSARY = {
    "Membership inference": "Deciding of one record whether a model was trained on it. Where that can be done, the "
    "model gives away something about the people or things in its training data, be it only that they were in it.",
    "Member": "A sample that the model under attack was trained on; a non-member is one that it never saw.",
    "Version, quantizer": "The same model with its weights rounded to few values, to save memory and time. A quantizer "
    "is the rule of the rounding. Full precision is the model before any rounding; programs call it identity.",
    "An attacker is right": "How often the strongest attack decides rightly, when half the records it is asked about "
    "are members: 50 % is a coin, 100 % is certainty. A better attack may exist, so it says how much is given away "
    "at least.",
    "Interval": "The range that contains the true value with the stated probability, given the chance in which samples "
    "and models the audit happened to use.",
    "Cannot be told apart": "The data do not show which of two versions gives away more. Versions are compared on the "
    "same samples and models, so two can be told apart although their intervals overlap.",
    "Bits per weight, zero weights": "What is stored for each weight, scales included, and the share of weights that "
    "were rounded to zero.",
    "Shadow model": "A model that was trained in the same way on other samples, for which it is known who is a member. "
    "Attackers learn from such models what a member looks like.",
    "Adaptive and transfer": "An adaptive attacker knows the quantizer and puts its own models through it; its figures "
    "lead in this report. A transfer attacker only has full-precision models of its own; where it fails, the cause "
    "may be the mismatch and no protection.",
    "ROC curve, AUC": "An attacker who accepts more false alarms finds more members; the curve shows the exchange. AUC "
    "is the area under it: the probability that a member looks more like one than a non-member does. 0.5 is a coin.",
    "Members found at 1 % false alarms": "The share of members an attacker finds while wrongly accusing 1 % of the "
    "non-members. It shows whether a few records are much more exposed than the average.",
    "Advantage": "The share of members found minus the share of false alarms, at the attacker's best threshold.",
    "Epsilon at least": "The training cannot have been differentially private with a smaller epsilon than this.",
    "Indicator r_Q": "A rate from the theory of quantized models that needs no attack: the larger, the less the "
    "quantized weights are predicted to depend on any one sample. It orders versions; it is no probability.",
    "Membership inference security (MIS)": "A defined quantity, no promise: one minus the advantage of the best attack "
    "there could ever be. Every attack that was run bounds it from above, none from below.",
    "Distortion": "How far quantizing upset the order of the losses of records that a model was not trained on: 0 not "
    "at all, 1 beyond recognition. It knows nothing of members, and orders versions that nothing else tells apart.",
    "Control": "A test of the audit itself whose right answer is known beforehand.",
    "Matched noise": "Random noise that changes the weights as much as a quantizer does. Where the quantizer protects "
    "no more than that, it is the disturbance that protects and not the low precision.",
    "Holm's correction": "Where many pairs are compared, some would seem to differ by chance. Each difference must "
    "therefore be the clearer, the more pairs there are.",
    "Kendall's tau": "How alike two measures order the versions: 1 is the same order, \N{MINUS SIGN}1 the reverse, 0 "
    "no relation.",
    "Digest (SHA-256), seal": "A number computed from every byte of a file or table, which no other content has in "
    "practice. The seal is the digest that results.json carries of itself, so that an edit shows.",
}

ATTACKS = {
    "loss_threshold": "Loss threshold: a record on which the model errs little is taken for a member. Needs no other "
    "model.",
    "modified_entropy": "Modified entropy: as loss threshold, but it looks at the whole prediction, not only at the "
    "right answer.",
    "calibrated": "Difficulty calibration: the loss is compared with that of models that never saw the record, so that "
    "easy records are not taken for members.",
    "lira": "LiRA, the likelihood-ratio attack: trains models with and without the record and asks which of the two "
    "the model under attack resembles.",
    "rmia": "RMIA: asks how much more likely the model finds the record than it finds other records, compared with "
    "models that never saw it.",
    "quantile_regression": "Quantile regression: learns from non-members how small a loss is to be expected for a "
    "record like this one, and takes what is below it for a member.",
    "gaussian_plug_in": "Gaussian plug-in: computes from the spread of losses with and without a record how well the "
    "best threshold could do.",
    "paired_replicates": "Paired replicates: compares two models, each trained on the half that the other did not see. "
    "It is told more than an attacker would know, so it orders versions and does not count in how often an attacker "
    "is right.",
    "min_k": "Min-K %: looks at the few words of a text that the model expects least; of a text that it was trained "
    "on, even these are no surprise.",
    "min_k_plus_plus": "Min-K %++: as Min-K %, each word being compared with all others that could stand in its place.",
    "zlib_ratio": "Zlib ratio: a text that surprises a compressor and not the model was probably trained on.",
    "lowercase_ratio": "Lower-case ratio: asks whether the model expects a text more than the same in lower case.",
    "reference_difference": "Difference to a reference: asks how much better the model expects a text than another "
    "model does, such as the one before fine-tuning.",
}
OWN = "An attack of this audit's own; its author knows what it does."


def attacks(names: Sequence[str]) -> dict[str, str]:
    """Return what the attacks of an audit do, by the name they have there."""
    return {name: ATTACKS.get(name.partition("(")[0], OWN) for name in names}
