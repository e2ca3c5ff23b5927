"""An annex for a data-protection impact assessment: which question each number answers, and which it does not.

The questions are those that an assessment under Article 35(7) GDPR has to answer about a model, in the order of its
letters, and those of the European Data Protection Board's Opinion 28/2024 about models that were trained on personal
data. An audit answers some of them with numbers; the annex fills these in, says what they leave open, and leaves lines
for what only the controller can write. It draws no conclusion: that is the controller's.
"""

from collections.abc import Callable
from dataclasses import dataclass

from quantmis.documents.answers import (
    blind,
    few_false_alarms,
    gained,
    groups_of_people,
    other_attacks,
    private_training,
    released_together,
    right,
    single_records,
    still_forgotten,
    trust,
)
from quantmis.documents.markdown import plain, table
from quantmis.documents.source import Source
from quantmis.report import tested, words
from quantmis.report.verdict import verdict
from quantmis.results import Results, TargetResult

BLANK = "\\[to be filled in by the controller\\]"
OPENING = """\
# Annex to a data-protection impact assessment: {model}

This annex reports what was measured about the privacy of a model's training data. It is filled in from an audit by
quantmis and is to be completed by the controller. It is not an assessment by itself and says nothing about whether the
processing is lawful.

The question behind every figure is **membership inference**: can somebody who holds the model decide of one record
whether the model was trained on it? Opinion 28/2024 of the European Data Protection Board names further attacks
(attribute inference, exfiltration, regurgitation of training data, model inversion, reconstruction).\
"""
Answer = Callable[[Results], str]


@dataclass(frozen=True)
class Question:
    """Hold a question of an assessment, what this audit says of it, and what it leaves open."""

    text: str
    answer: Answer
    open: str


def render(source: Source) -> bytes:
    """Return the annex as Markdown in UTF-8."""
    parts = [_opening(source), _part_a(source), _part_b(source.results), _part_c(), _part_d(source)]
    return ("\n\n".join(parts) + "\n").encode()


def _opening(source: Source) -> str:
    told = "\n\n".join(map(plain, tested.said(source.results)))
    opening = f"{OPENING.format(model=plain(source.results.config.model))}\n\n{told}"
    return f"{opening}\n\n**{plain(source.broken)}.**" if source.broken else opening


def _part_a(source: Source) -> str:
    results = source.results
    facts = {
        "The model": plain(results.config.model),
        "Its training": plain(_recipe(results)),
        "Records": f"{results.data.samples:,} divided among the models, {results.data.held_out:,} shown to none",
        "What is personal in them, and of whom": BLANK,
        "Purpose of the processing, recipients, retention": BLANK,
        "Versions of the model": plain(words.some([words.title(name) for name in results.config.quantizers], most=20)),
        "How deep the audit looked": _depth(results),
        "The very model that is shipped": _target(results),
        "Digest of the data (SHA-256)": f"`{plain(results.data.digest)}`",
        "Digest of results.json (SHA-256)": f"`{source.digest}`",
        "When": plain(words.moment(results.environment.started)),
    }
    rows = [[name, answer] for name, answer in facts.items()]
    return f"## A. What is processed (Article 35(7)(a))\n\n{table(['', ''], rows)}"


def _recipe(results: Results) -> str:
    return ", ".join(f"{name} {value}" for name, value in results.config.recipe.items())


def _depth(results: Results) -> str:
    config = results.config
    return {
        "as-is": "the model was attacked as it is; no other model was trained",
        "indicator": f"{config.replicates} models were trained in the same way and compared",
        "shadow": f"{config.shadows} models were trained in the same way; each was attacked by means of the others",
    }[config.depth]


def _target(results: Results) -> str:
    target = results.target
    if isinstance(target, TargetResult):
        return f"{plain(target.name)}, SHA-256 of its tensors `{plain(target.digest)}`"
    return f"was not attacked itself ({plain(target.reason)}): the figures are about models trained in the same way"


def _part_b(results: Results) -> str:
    questions = "\n\n".join(
        f"### {number}. {question.text}\n\n{question.answer(results)}\n\n*Left open:* {question.open}"
        for number, question in enumerate(QUESTIONS, 1)
    )
    return f"## B. Risks to the people in the data, and measures (Article 35(7)(c) and (d))\n\n{questions}"


def _part_c() -> str:
    lines = "\n".join(f"- {line}: {BLANK}" for line in FOR_THE_CONTROLLER)
    return f"## C. For the controller\n\n{lines}"


def _part_d(source: Source) -> str:
    sentences = "\n\n".join(plain(sentence.text) for sentence in verdict(source.results))
    return f"## D. The verdict of the audit, in full\n\n{sentences}"


QUESTIONS = (
    Question(
        "Can somebody who holds the model tell whether a record was in its training data?",
        right,
        "attacks that were not run, and attackers who know less, such as those who only see the model's answers. A "
        "figure near 50 % is no proof that a better attack finds nothing.",
    ),
    Question(
        "How many people can be found by somebody who hardly ever accuses the wrong one?",
        few_false_alarms,
        "false alarms that are rarer than the number of records can resolve.",
    ),
    Question(
        "Are some groups more exposed than others?",
        groups_of_people,
        "groups that are not the classes of the task, such as age, sex or origin: the audit does not know them.",
    ),
    Question(
        "Are single people more exposed than the average?",
        single_records,
        "who they are: records are named by their place in the data or by the ids that were given, never by content.",
    ),
    Question(
        "Does quantizing the model reduce the risk, and what does it cost?",
        gained,
        "whether the reduction is enough, and measures other than quantizing.",
    ),
    Question(
        "What do several versions of the model give away that are released together?",
        released_together,
        "versions that were published but not audited, and versions that others make of those that were.",
    ),
    Question(
        "Is what was to be erased from the model forgotten, in every version (Article 17)?",
        still_forgotten,
        "attacks other than those on the loss, and whether records that were not named should have been forgotten too.",
    ),
    Question(
        "Was the training differentially private, and with which epsilon?",
        private_training,
        "whether the guarantee covers all that was made of the records before training. A lower bound refutes a claim; "
        "it never confirms one.",
    ),
    Question(
        "Do the records of the training set differ from the others even without the model?",
        blind,
        "differences that this classifier does not find.",
    ),
    Question(
        "Can records be reconstructed, attributes inferred, or texts extracted from the model?",
        other_attacks,
        "every kind that is not named as tested, and stronger attacks of the kinds that are. Membership inference that "
        "succeeds is a sign of memorisation; failure does not exclude these.",
    ),
    Question(
        "How far can these numbers be trusted?",
        trust,
        "mistakes in what the auditor was told: which records were trained on, and how.",
    ),
)

FOR_THE_CONTROLLER = (
    "What it would mean for a person if others learned that their record was in this data",
    "Who can obtain the model, and how (published weights, devices, an interface)",
    "Necessity and proportionality (Article 35(7)(b)): why this data, why this model",
    "Which version is shipped, and why",
    "Other measures: access control, contracts, removal of records, differential privacy",
    "Residual risk, and who accepts it",
    "Advice of the data protection officer (Article 35(2)), views of the people concerned (Article 35(9))",
    "When this assessment is reviewed: a new training, a new quantizer, a new attack",
)
