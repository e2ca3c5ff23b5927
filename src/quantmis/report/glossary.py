"""The words of the report, explained to somebody who has never met them.

Measures are explained by their own declarations, and attacks by their authors; here is what is neither.
"""

from quantmis.measures import SUBJECTS, measures_of

WORDS = {
    "Membership inference": "Deciding of one record whether a model was trained on it. Where that can be done, the "
    "model gives away something about the people or things in its training data, be it only that they were in it.",
    "Member": "A sample that the model under attack was trained on; a non-member is one that it never saw.",
    "Version, quantizer": "The same model with its weights rounded to few values, to save memory and time. A quantizer "
    "is the rule of the rounding. Full precision is the model before any rounding; programs call it identity.",
    "Interval": "The range that contains the true value with the stated probability, given the chance in which samples "
    "and models the audit happened to use.",
    "Cannot be told apart": "The data do not show which of two versions gives away more. Versions are compared on the "
    "same samples and models, so two can be told apart although their intervals overlap.",
    "Shadow model": "A model that was trained in the same way on other samples, for which it is known who is a member. "
    "Attackers learn from such models what a member looks like.",
    "Adaptive and transfer": "An adaptive attacker knows the quantizer and puts its own models through it; its figures "
    "lead in this report. A transfer attacker only has full-precision models of its own; where it fails, the cause "
    "may be the mismatch and no protection.",
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


def glossary() -> dict[str, str]:
    """Return the words of the report and the titles of measures with what they mean."""
    measures = [each for subject in SUBJECTS for each in measures_of(subject).values()]
    return {**WORDS, **{each.title: each.sentence for each in measures if each.glossary}}


def attack_words(descriptions: dict[str, str]) -> dict[str, str]:
    """Return what the attacks of an audit do, by the name they have there; those that nobody described say so."""
    return {
        name: text or "Nobody described this attack; its author knows what it does."
        for name, text in descriptions.items()
    }
