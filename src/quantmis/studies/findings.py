"""What earlier work found, one claim at a time: confirmed by the outcomes of a study, contradicted, or undecided.

A claim is a number over problems that lies above a bar where the claim holds. Its interval takes problems that share
data for one. The claim is confirmed where the whole interval lies above the bar, contradicted where it lies below. The
bar is 0 but for claims that one measure orders quantizers as another does. There "better than chance" would confirm
orders of which whole quantizers are out of place, so that nine of ten pairs must be ordered alike.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from quantmis.stats import Estimate, Unmeasured
from quantmis.studies.contrasts import (
    ANY,
    CORRELATION,
    Number,
    Range,
    Score,
    agreement,
    between,
    clustered,
    exposed_by_indicator,
    exposure,
    over,
    paired,
    security_agreement,
)
from quantmis.studies.outcome import Outcome

FULL, EIGHT, FOUR, TWO, SIGN = "identity", "uniform(bits=8)", "uniform(bits=4)", "uniform(bits=2)", "sign"
THIRD, HALF, NINE_TENTHS = "ternary(sparsity=0.33)", "ternary(sparsity=0.5)", "ternary(sparsity=0.9)"
EQUAL = 0.01
"""An AUC that differs by less counts as equal."""

ALIKE = 0.8
"""The Kendall tau from which on two orders count as the same: nine of ten pairs of quantizers stand alike in both."""

PROTOTYPE = (NINE_TENTHS, TWO, SIGN, HALF, THIRD, "uniform(bits=3)", FOUR, EIGHT)
"""The order from most to least private that prototypes of this project found."""

PAPER, BITS, OURS = "Aubinais et al., 2026", "Bits for Privacy (arXiv 2512.15335)", "prototypes of this project"


@dataclass(frozen=True)
class Claim:
    """Hold a claim, who made it, what the number is, how it is found, and the bar above which the claim holds."""

    text: str
    source: str
    meaning: str
    number: Callable[[Sequence[Outcome], float], Estimate | Unmeasured]
    bar: float = 0.0


@dataclass(frozen=True)
class Finding:
    """Hold a claim with its number and the verdict."""

    claim: Claim
    number: Estimate | Unmeasured

    @property
    def verdict(self) -> str:
        """Say "confirmed", "contradicted" or "undecided"."""
        if isinstance(self.number, Unmeasured) or self.number.low <= self.claim.bar <= self.number.high:
            return "undecided"
        return "confirmed" if self.number.low > self.claim.bar else "contradicted"

    def __str__(self) -> str:
        """Write the verdict, the claim and the number."""
        return f"{self.verdict}: {self.claim.text} ({self.claim.source}). {self.claim.meaning}: {spoken(self.number)}"


def findings(outcomes: Sequence[Outcome], level: float = 0.95) -> list[Finding]:
    """Return every claim with what the outcomes say of it."""
    return [Finding(claim, claim.number(outcomes, level)) for claim in CLAIMS]


def spoken(number: Estimate | Unmeasured, digits: int = 3) -> str:
    """Write a number with its interval, or the reason why there is none.

    >>> spoken(Estimate(1.0, 1.0, 1.0), 1)
    '1.0 (every time)'
    """
    if isinstance(number, Unmeasured):
        return f"not measured, {number.reason}"
    if number.low == number.high:
        return f"{number.value:.{digits}f} (every time)"
    return f"{number.value:.{digits}f} ({number.low:.{digits}f} to {number.high:.{digits}f})"


def _mean(number: Number, within: Range = ANY) -> Callable[[Sequence[Outcome], float], Estimate | Unmeasured]:
    return lambda outcomes, level: over(outcomes, number, level, within)


def _less(private: str, exposed: str) -> Number:
    """Return the function to how much more of a problem `exposed` gives away than `private`."""
    return lambda outcome: exposure(outcome.of(exposed)) - exposure(outcome.of(private))


def _closest(outcomes: Sequence[Outcome], level: float) -> Estimate | Unmeasured:
    """Return the contrast of 90 % zeros with the quantizer that comes closest to it or beats it."""
    others = [each.name for each in outcomes[0].quantizers if each.name != NINE_TENTHS]
    return _weakest(outcomes, [(NINE_TENTHS, each) for each in others], level)


def _in_order(outcomes: Sequence[Outcome], level: float) -> Estimate | Unmeasured:
    """Return the contrast of the two neighbours in the prototypes' order that are furthest from standing in it."""
    return _weakest(outcomes, list(pairwise(PROTOTYPE)), level)


def _weakest(outcomes: Sequence[Outcome], pairs: Sequence[tuple[str, str]], level: float) -> Estimate | Unmeasured:
    """Return the contrast of the pair that speaks most against all of them, private first, being ordered so.

    One pair the other way round refutes the whole, and some pair would seem so by chance: the intervals hold for all
    pairs together (Bonferroni).
    """
    each_level = 1 - (1 - level) / len(pairs)
    contrasts = [over(outcomes, _less(*pair), each_level, CORRELATION) for pair in pairs]
    estimates = [each for each in contrasts if isinstance(each, Estimate)]
    if not estimates:
        return contrasts[0]
    refuting = min(estimates, key=lambda each: each.high)
    return refuting if refuting.high < 0 else min(estimates, key=lambda each: each.low)


def _less_by_indicator(private: str, exposed: str) -> Number:
    """Return the function to the logarithm of the r_Q of `private` over that of `exposed`, where both were measured."""

    def of(outcome: Outcome) -> float | None:
        rates = [outcome.of(name).indicator for name in (private, exposed)]
        values = [each.value for each in rates if isinstance(each, Estimate) and each.reason is None and each.value > 0]
        return math.log(values[0] / values[1]) if len(values) == 2 else None

    return of


def _sparsity_against_bits(outcome: Outcome) -> float:
    by_zeros = exposure(outcome.of(THIRD)) - exposure(outcome.of(NINE_TENTHS))
    by_bits = exposure(outcome.of(EIGHT)) - exposure(outcome.of(SIGN))
    return by_zeros - by_bits


def _cost(cheap: str, dear: str) -> Number:
    """Return the function to how much more skill `dear` costs in a problem where the model has any."""
    return lambda outcome: outcome.lost(dear) - outcome.lost(cheap) if outcome.skilled else None


_cost_of_zeros = _cost(THIRD, NINE_TENTHS)


def _in_regression(outcomes: Sequence[Outcome], level: float) -> Estimate | Unmeasured:
    costs = {
        kind: clustered([each for each in outcomes if each.kind == kind], _cost_of_zeros)
        for kind in ("regression", "classification")
    }
    return between(costs["regression"], costs["classification"], level)


def _equality(outcome: Outcome) -> float:
    return EQUAL - abs(exposure(outcome.of(FULL)) - exposure(outcome.of(FOUR)))


def _orders_alike(text: str, source: str, score: Score) -> Claim:
    """Return the claim that `score` orders the quantizers of a problem as LiRA does."""
    return Claim(text, source, TAU, _mean(agreement(score, exposure), CORRELATION), bar=ALIKE)


AUC = "AUC of adaptive LiRA, difference"
SKILL = "share of the skill beyond chance that is lost, difference, where the model has any"
TAU = f"Kendall tau over the quantizers of a problem, mean; must exceed {ALIKE} (9 of 10 pairs ordered alike)"

CLAIMS = (
    Claim("1.58 bit with 90 % zeros is the most private", PAPER, f"{AUC} to the quantizer closest to it", _closest),
    Claim("sign is less private than 1.58 bit with 33 % zeros", PAPER, AUC, _mean(_less(THIRD, SIGN))),
    Claim(
        "sign is less private than 1.58 bit with 33 % zeros, by the indicator",
        PAPER,
        "logarithm of r_Q with 33 % zeros over that of sign",
        _mean(_less_by_indicator(THIRD, SIGN)),
    ),
    Claim(
        "sparsity matters more than bits",
        PAPER,
        f"{AUC}: from 33 to 90 % zeros at 1.58 bit, less from 8 bit to 1 bit without zeros",
        _mean(_sparsity_against_bits),
    ),
    Claim("more sparsity costs utility", PAPER, f"{SKILL}, 33 to 90 % zeros", _mean(_cost_of_zeros)),
    Claim("above all in regression", PAPER, f"{SKILL}, regression less classification", _in_regression),
    _orders_alike("the indicator orders quantizers as the attack does", PAPER, exposed_by_indicator),
    Claim(
        "4 bits give away as much as full precision",
        BITS,
        f"{EQUAL} less the absolute difference of AUC of adaptive LiRA",
        _mean(_equality),
    ),
    Claim("2 bits give away less than 4", BITS, AUC, _mean(_less(TWO, FOUR))),
    Claim("1.58 bit (half zeros) gives away less than 2 bits", BITS, AUC, _mean(_less(HALF, TWO))),
    Claim("2 bits cost more utility than 4", BITS, SKILL, _mean(_cost(FOUR, TWO))),
    Claim("sign is more private than 1.58 bit with 33 % zeros", OURS, AUC, _mean(_less(SIGN, THIRD))),
    Claim(
        "the order is 90 % zeros, 2 bit, sign, 50 %, 33 % zeros, 3, 4, 8 bit",
        OURS,
        f"{AUC} of the two neighbours that stand in it least; every neighbour must",
        _in_order,
    ),
    _orders_alike("paired replicates order quantizers as the attack does", OURS, paired),
    Claim(
        "security by theory orders quantizers as the attack does, where it states an order",
        OURS,
        f"{TAU}, of the pairs whose intervals are apart",
        _mean(security_agreement(exposure), CORRELATION),
        bar=ALIKE,
    ),
)
