"""Intervals contain the truth about as often as they say, on tables whose rows and columns are dependent.

Scores are sums of normal effects: of the sample (its difficulty, how much it leaks), of the model (its level, how
much it leaks) and of the entry. So every metric has a closed form over all models and samples.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import optimize, stats

from quantmis.data.membership import complementary_halves
from quantmis.stats import Estimate, compare, evaluate, most_exposed, security_upper_bound

pytestmark = pytest.mark.usefixtures("unchecked")  # thousands of calls whose shapes other tests check
SAMPLES, REPEATS = 200, 100


@dataclass(frozen=True)
class World:
    """Standard deviations of the effects; a member's score is higher by `leak` on average."""

    difficulty: float = 0.0
    shift: float = 0.0
    sample_leak: float = 0.0
    model_leak: float = 0.0
    leak: float = 0.8

    def draw(self, models: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        member = complementary_halves(max(models, 2), SAMPLES, rng)[:models]
        leak = self.leak + self.sample_leak * rng.normal(size=SAMPLES) + self.model_leak * rng.normal(size=(models, 1))
        common = self.difficulty * rng.normal(size=SAMPLES) + self.shift * rng.normal(size=(models, 1))
        return common + rng.normal(size=member.shape) + leak * member, member

    def truth(self) -> dict[str, float]:
        out = stats.norm(0, np.sqrt(1 + self.difficulty**2 + self.shift**2))
        inside = stats.norm(self.leak, np.sqrt(out.var() + self.sample_leak**2 + self.model_leak**2))
        best = optimize.minimize_scalar(lambda at: out.sf(at) - inside.sf(at), bounds=(-1, 3), method="bounded")
        area = stats.norm.cdf(self.leak / np.sqrt(out.var() + inside.var()))
        return {"auc": area, "advantage": -best.fun, "tpr": inside.sf(out.isf(0.1)), "security": 1 + best.fun}


WORLDS = {
    "entries": World(),
    "samples": World(difficulty=1.5),
    "leaking samples": World(difficulty=1.0, sample_leak=0.8),
    "leaking models": World(difficulty=0.5, shift=0.5, model_leak=0.4),
    "everything": World(difficulty=1.0, shift=0.5, sample_leak=0.5, model_leak=0.4),
}
ONE_MODEL = {name: world for name, world in WORLDS.items() if not world.shift}  # one model cannot show how models vary


def measured(scores: np.ndarray, member: np.ndarray) -> dict[str, Estimate]:
    found = evaluate(scores, member, false_positive_rates=(0.1,))
    bound = security_upper_bound({"good": scores, "worse": np.abs(scores)}, member).security
    return {"auc": found.auc, "advantage": found.advantage, "tpr": found.tpr[0.1], "security": bound}


def hits(world: World, models: int) -> dict[str, np.ndarray]:
    rng, truth = np.random.default_rng(models), world.truth()
    draws = [measured(*world.draw(models, rng)) for _ in range(REPEATS)]
    return {name: np.array([holds(name, draw[name], truth[name]) for draw in draws]) for name in truth}


def holds(name: str, estimate: Estimate, truth: float) -> bool:
    """Say whether the interval holds the truth; of what a chosen threshold is worth only the end that is a claim.

    The truth here is that of the best threshold, and one that half of the samples chose is worth less.
    """
    if name == "advantage":
        return estimate.low <= truth
    return truth <= estimate.high if name == "security" else estimate.low <= truth <= estimate.high


@pytest.mark.slow
@pytest.mark.parametrize("models", [1, 4, 16])
def test_intervals_hold_the_truth_as_often_as_they_say(models: int):
    found = [hits(world, models) for world in (ONE_MODEL if models == 1 else WORLDS).values()]
    for name in found[0]:
        rates = [each[name].mean() for each in found]
        assert 0.90 <= np.mean(rates) <= (1.0 if name in ("advantage", "security") else 0.995), (name, rates)
        assert min(rates) >= 0.86, (name, rates)  # of one world: three standard errors of 100 draws below 0.95


def test_intervals_of_near_perfect_attacks_hold_the_truth():
    world = World(leak=4.5, difficulty=0.5)
    found = hits(world, 8)
    assert world.truth()["auc"] > 0.997
    assert 0.90 <= found["auc"].mean() <= 1.0


def test_intervals_get_shorter_with_more_models():
    rng, world = np.random.default_rng(0), WORLDS["everything"]
    widths = [np.mean([_width(measured(*world.draw(models, rng))["auc"]) for _ in range(10)]) for models in (4, 16, 64)]
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


def test_the_interval_of_few_models_is_not_that_of_independent_entries():
    rng, world = np.random.default_rng(0), WORLDS["leaking models"]
    scores, member = world.draw(16, rng)
    apart, together = evaluate(rng.permuted(scores, axis=None), member).auc, evaluate(scores, member).auc
    assert _width(together) > 1.5 * _width(apart)


@pytest.mark.parametrize("models", [1, 16])
def test_the_demonstrated_epsilon_holds_the_truth_and_its_lower_end_rarely_exceeds_it(models: int):
    rng, epsilon = np.random.default_rng(models), 1.0
    found = []
    for _ in range(100):
        member = complementary_halves(max(models, 2), 2 * SAMPLES, rng)[:models]
        told = rng.random(member.shape) < 1 / (1 + np.exp(-epsilon))
        found.append(evaluate(1.0 * (told == member), member, false_positive_rates=()).epsilon_low)
    assert np.mean([each.low <= epsilon <= each.high for each in found]) >= 0.92
    assert np.mean([each.low > epsilon for each in found]) <= 0.04


@pytest.mark.slow
@pytest.mark.parametrize("samples", [100, 400, 1000])
def test_where_nothing_leaks_an_audit_of_one_model_rarely_says_that_something_does(samples: int):
    rng, alarms = np.random.default_rng(samples), []
    for _ in range(400):
        member = (rng.permutation(samples) < samples // 2)[None]
        alarms.append(evaluate(rng.normal(size=member.shape), member, false_positive_rates=()).advantage.low > 0)
    assert np.mean(alarms) <= 0.045  # 2.5 % and two and a half standard errors


@pytest.mark.slow
def test_choosing_among_many_blind_attacks_does_not_make_a_model_look_insecure():
    rng, member = np.random.default_rng(0), np.arange(SAMPLES)[None] % 2 == 0
    blind = [{str(name): rng.normal(size=member.shape) for name in range(12)} for _ in range(200)]
    below = [security_upper_bound(scores, member).security.high < 1 for scores in blind]
    naive = [min(1 - _largest_advantage(each, member) for each in scores.values()) for scores in blind]
    assert np.mean(below) <= 0.05
    assert np.mean(naive) < 0.9


def test_differences_of_equal_quantizers_are_rarely_significant():
    rng, p_values = np.random.default_rng(0), []
    for _ in range(150):
        member = complementary_halves(8, SAMPLES, rng)
        common = rng.normal(size=SAMPLES) + member * (0.8 + 0.3 * rng.normal(size=(8, 1)))
        noisy = {name: common + rng.normal(size=member.shape) for name in ("sign", "ternary")}
        p_values.append(compare(noisy, member)[0].p)
    assert np.mean(np.array(p_values) < 0.05) <= 0.09
    assert np.mean(np.array(p_values) < 0.5) >= 0.25


def test_a_paired_difference_is_known_better_than_either_area():
    rng, world = np.random.default_rng(0), World(difficulty=1.0, model_leak=0.4)
    scores, member = world.draw(16, rng)
    [pair] = compare({"first": scores, "second": scores + 0.3 * rng.normal(size=scores.shape)}, member)
    assert _width(pair.estimate) < _width(evaluate(scores, member).auc) / 2
    assert pair.adjusted < 0.05


def test_intervals_of_the_most_exposed_samples_hold_for_all_samples_together():
    rng, missed = np.random.default_rng(0), 0
    for _ in range(40):
        member = complementary_halves(16, SAMPLES, rng)
        scores = rng.normal(size=member.shape)
        missed += any(not each.exposure.low <= 0.5 <= each.exposure.high for each in most_exposed(scores, member, 20))
    assert missed / 40 <= 0.1


def _width(estimate: Estimate) -> float:
    return estimate.high - estimate.low


def _largest_advantage(scores: np.ndarray, member: np.ndarray) -> float:
    order = member.ravel()[np.argsort(-scores.ravel())]
    return float((order.cumsum() / order.sum() - (~order).cumsum() / (~order).sum()).max())
