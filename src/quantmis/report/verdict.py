"""The verdict in plain words, generated from numbers and intervals.

Each rule is a small function of the results that returns one sentence, or None where it has nothing to say. Where the
very model that ships was given, the rules speak of it first, and of models trained like it after. Two things are never
said: that a version gives nothing away, because an attack that fails proves nothing about a better one; and that one
version is better than another where the intervals do not tell them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from quantmis.report.cautions import (
    about_what,
    confounded,
    failed_controls,
    hardly_learned,
    hinted,
    knows_nothing,
    most_exposed,
    no_better_than_a_coin,
    no_control,
    reservation,
    understated,
    unmeasured,
)
from quantmis.report.certified import guaranteed, refuted
from quantmis.report.decision import decision, worst_off
from quantmis.report.forgotten import comes_back, utility_comes_back
from quantmis.report.headline import gained, headline, nothing_gained, trained_alike, undecided
from quantmis.report.price import bargain, contrary, price
from quantmis.report.reading import lead
from quantmis.report.released import together
from quantmis.results import Results

Kind = Literal["alarm", "headline", "decision", "detail", "caution"]
Rule = Callable[[Results], str | None]


@dataclass(frozen=True)
class Sentence:
    """Hold one sentence of the verdict; `kind` says how loud it is, for pages that can show it."""

    kind: Kind
    text: str


def verdict(results: Results) -> list[Sentence]:
    """Return the sentences of the verdict in the order in which they should be read."""
    return [Sentence(kind, text) for kind, rule in RULES if (text := rule(results))]


def leading(rule: Rule) -> Rule:
    """Return a rule about the very model where it was given, else about the models of the audit."""
    return lambda results: rule(lead(results))


RULES: tuple[tuple[Kind, Rule], ...] = (
    ("alarm", failed_controls),
    ("alarm", refuted),
    ("alarm", confounded),
    ("headline", leading(headline)),
    ("headline", comes_back),
    ("detail", utility_comes_back),
    ("decision", decision),
    ("detail", guaranteed),
    ("caution", understated),
    ("caution", hardly_learned),
    ("caution", knows_nothing),
    ("caution", hinted),
    ("detail", leading(gained)),
    ("detail", leading(nothing_gained)),
    ("detail", leading(undecided)),
    ("detail", price),
    ("detail", contrary),
    ("detail", bargain),
    ("detail", trained_alike),
    ("detail", most_exposed),
    ("detail", worst_off),
    ("detail", together),
    ("detail", leading(unmeasured)),
    ("caution", about_what),
    ("caution", leading(no_better_than_a_coin)),
    ("caution", no_control),
    ("caution", reservation),
)
