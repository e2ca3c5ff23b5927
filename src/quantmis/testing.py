"""Contract suites: what every attack and quantizer must do, as tests that a plug-in's author runs on their own.

    from quantmis.testing import AttackContract, QuantizerContract

    class TestMyAttack(AttackContract):
        attack = MyAttack()

    class TestMyQuantizer(QuantizerContract):
        quantizer = MyQuantizer(bits=3)

pytest collects the inherited tests. Attacks run on small tables of a classifier that leaks, with many equal losses as
low-bit models make them; quantizers on a small model with a layer of each kind.
"""

# ruff: noqa: S101 - these are tests, shipped with the package

from typing import ClassVar

import numpy as np
import pytest

from quantmis.attacks import ATTACKS, Attack
from quantmis.attacks.text_signal import TextSignal
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.quantizers import Quantizer, contract
from quantmis.stats import evaluate

MODELS, SAMPLES = 16, 160
TIED_TO = 0.2


def leaky_table(leak: float = 1.5, seed: int = 0, models: int = MODELS, samples: int = SAMPLES) -> Evidence:
    """Return the table of binary classifiers in complementary pairs whose margin is `leak` higher on members.

    Margins are rounded, so that losses tie.

    >>> table = leaky_table()
    >>> table.models, table.samples, bool((np.unique(table.losses).size < 100))
    (16, 160, True)
    """
    draw = np.random.default_rng(seed)
    half = draw.permuted(np.tile(np.arange(samples) < samples // 2, (models // 2, 1)), axis=1)
    member = np.stack([half, ~half], axis=1).reshape(models, samples)
    noisy = draw.normal(1, 2, samples) + draw.normal(0, 1, (models, samples)) + leak * member
    return margins(np.round(noisy / TIED_TO) * TIED_TO, member)


def margins(margin: np.ndarray, member: np.ndarray) -> Evidence:
    """Return the table of binary classifiers with these margins (the log-odds of the right class)."""
    losses, other = np.logaddexp(0, -margin), np.logaddexp(0, margin)
    entropy = losses * np.exp(-other) + losses * np.exp(-other)  # both classes give the same term when there are two
    text_signals = {name: margin for name in ATTACKS.names() if issubclass(ATTACKS.find(name), TextSignal)}
    return Evidence(losses, member, margin, entropy, label=np.arange(margin.shape[1]) % 2, named=text_signals)


class AttackContract:
    """Collect the tests of an attack; set `attack` in a subclass."""

    attack: ClassVar[Attack]

    def test_every_entry_gets_a_finite_score(self):
        """Scores have the shape of the table, with ties and with columns on which all models agree."""
        table = leaky_table()
        margin = table.signals.copy()
        margin[:, :10] = 1.0
        scores = self.attack.score(margins(margin, table.member))
        assert scores.shape == margin.shape
        assert np.isfinite(scores).all()

    def test_members_score_higher(self):
        """A leak is found, with the right sign, by the adaptive and by the transfer attacker."""
        table, reference = leaky_table(), leaky_table(seed=1)
        for scores in (self.attack.score(table), self.attack.score(table, reference)):
            assert evaluate(scores, table.member).auc.low > 0.55

    def test_where_nothing_leaks_nothing_is_found(self):
        """The interval of the AUC holds one half: what the attack knows must not contain the answer."""
        table = leaky_table(leak=0.0)
        auc = evaluate(self.attack.score(table), table.member, level=0.999).auc
        assert auc.low <= 0.5 <= auc.high
        assert auc.high - auc.low < 0.3

    def test_the_answer_does_not_enter_the_score(self):
        """The score of a model at a sample does not depend on which of the model and its twin was trained on it."""
        table = leaky_table()
        member = table.member.copy()
        member[:2, 3] = ~member[:2, 3]
        before, after = self.attack.score(table), self.attack.score(table.relabelled(member))
        np.testing.assert_allclose(after[:2, 3], before[:2, 3], rtol=1e-9, atol=1e-9)

    def test_full_precision_selves_are_left_out(self):
        """The transfer attacker's table holds the target's own full-precision self, and learns nothing from it."""
        table, reference = leaky_table(), leaky_table()
        signals = reference.signals.copy()
        signals[:2, 3] += 50.0
        before, after = (self.attack.score(table, each) for each in (reference, margins(signals, reference.member)))
        np.testing.assert_allclose(after[:2, 3], before[:2, 3], rtol=1e-6, atol=1e-6)

    def test_the_order_of_samples_does_not_matter(self):
        """Shuffled columns give shuffled scores."""
        table = leaky_table()
        shuffled = np.random.default_rng(2).permutation(table.samples)
        scores = self.attack.score(table)[:, shuffled]
        np.testing.assert_allclose(self.attack.score(table.columns(shuffled)), scores, rtol=1e-9, atol=1e-9)

    def test_single_precision_is_enough(self):
        """Tables in float32 and in float64 give the same AUC to 1e-4."""
        table = leaky_table()
        single = margins(table.signals.astype(np.float32), table.member)
        exact, rounded = (evaluate(self.attack.score(each), table.member).auc.value for each in (table, single))
        assert abs(exact - rounded) < 1e-4

    def test_the_tables_are_left_alone(self):
        """Scoring changes neither table."""
        table, reference = leaky_table(), leaky_table(seed=1)
        before = table.losses.copy(), table.signals.copy(), reference.losses.copy(), reference.signals.copy()
        self.attack.score(table, reference)
        after = table.losses, table.signals, reference.losses, reference.signals
        assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))

    def test_a_model_with_only_members_is_refused(self):
        """Nothing can be judged on one kind of sample."""
        table = leaky_table()
        member = table.member.copy()
        member[4] = True
        _expect_refusal(self.attack, table.relabelled(member), None, "only members or only non-members")

    def test_other_samples_are_refused(self):
        """Target and reference must be over the same samples."""
        table = leaky_table()
        _expect_refusal(self.attack, table, table.columns(slice(0, 100)), "same samples")


def _expect_refusal(attack: Attack, target: Evidence, reference: Evidence | None, words: str) -> None:
    with pytest.raises(UserError, match=words):
        attack.score(target, reference)


class QuantizerContract:
    """Collect the tests of a quantizer; set `quantizer`, which must be registered, in a subclass."""

    quantizer: ClassVar[Quantizer]

    @pytest.mark.parametrize("claim", contract.CLAIMS, ids=lambda claim: claim.__name__)
    def test_it_keeps_its_promise(self, claim: contract.Claim):
        """Each of the claims of `quantmis.quantizers.contract` holds."""
        claim(self.quantizer)

    def test_another_process_makes_the_same_of_a_model(self):
        """The fingerprint does not depend on the process."""
        here = contract.quantized(self.quantizer).fingerprint
        assert contract.fingerprints_elsewhere([self.quantizer]) == [here]
