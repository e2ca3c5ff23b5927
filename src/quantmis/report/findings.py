"""The findings of an audit as the page shows them: each code with its title, and a place to point to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from quantmis.results import Finding

CODES = {
    "QM001": "A control failed",
    "QM002": "Too few shadow models",
    "QM003": "Layers were left in full precision",
    "QM004": "A way of training was not possible",
    "QM005": "The indicator and an attack disagree",
    "QM006": "The indicator could not be resolved",
    "QM007": "Stored work was damaged",
    "QM008": "Security by theory is higher than an attack allows",
    "QM009": "An attack is told more than an attacker would know",
    "QM010": "The models hardly learned",
    "QM011": "Members differ from non-members without the model",
    "QM012": "The shadow models saw another number of samples",
    "QM013": "What an audit as it is cannot see",
    "QM014": "Members and non-members that look alike",
    "QM015": "Samples on scales that lie far apart",
    "QM016": "Members do worse than other samples",
    "QM017": "Samples that repeat others",
    "QM018": "Two numbers about twins that disagree",
    "QM019": "Membership contradicts the channel",
    "QM020": "A version knows nothing",
    "QM021": "Columns on scales that lie far apart",
    "QM022": "Attacks refute the certificate",
    "QM023": "What the certificate leaves open",
}
"""What each code says, in the words of its page in the documentation."""


@dataclass(frozen=True)
class Shown:
    """Hold a finding with the title of its code and the place in the page where it stands first."""

    code: str
    title: str
    text: str
    place: str


def finding_entries(findings: Sequence[Finding]) -> list[Shown]:
    """Return the findings in their order; the first of each known code has a place of its own."""
    first = {finding.code: index for index, finding in reversed(list(enumerate(findings)))}
    return [
        Shown(
            finding.code,
            CODES.get(finding.code, ""),
            finding.text,
            finding.code if finding.code in CODES and first[finding.code] == index else "",
        )
        for index, finding in enumerate(findings)
    ]


def linked(sentence: str, findings: Sequence[Finding]) -> str:
    """Return a sentence that is HTML already with a link at each code that the page shows."""
    codes = {finding.code for finding in findings} & CODES.keys()
    return re.sub(
        r"\bQM\d{3}\b", lambda code: f'<a href="#{code[0]}">{code[0]}</a>' if code[0] in codes else code[0], sentence
    )
