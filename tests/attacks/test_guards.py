"""Every guard of the attacks refuses, and says what to do."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from quantmis.attacks import (
    ATTACKS,
    RMIA,
    Attack,
    GaussianPlugIn,
    LiRA,
    ModifiedEntropy,
    PairedReplicates,
    QuantileRegression,
)
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.testing import leaky_table


@pytest.mark.parametrize(
    ("name", "enough"),
    [("lira", 6), ("gaussian_plug_in", 6), ("rmia", 4), ("calibrated", 4), ("quantile_regression", 6)],
)
def test_too_few_references_are_refused_with_the_number_needed(name: str, enough: int):
    attack = ATTACKS.parse(name)
    assert attack.score(leaky_table(models=enough)).shape == (enough, 160)
    with pytest.raises(UserError, match="needs at least") as refusal:
        attack.score(leaky_table(models=enough - 2))
    assert f"at least {enough} models" in str(refusal.value.hint)


def test_references_that_are_all_the_targets_kin_are_none():
    table = leaky_table(models=2)
    with pytest.raises(UserError, match="some sample has 0"):
        LiRA().score(table, table)


def test_the_references_of_a_single_target_are_all_the_others():
    table = leaky_table()
    found = LiRA().score(table.rows([4]), table)
    np.testing.assert_allclose(found, LiRA().score(table)[[4]], rtol=1e-9)


def test_references_over_samples_in_another_order_are_refused_where_labels_show_it():
    table = leaky_table()
    with pytest.raises(UserError, match="labels differ"):
        LiRA().score(table, table.columns(np.roll(np.arange(160), 1)))


def test_models_without_twins_are_refused():
    with pytest.raises(UserError, match="1 of 3 have no twin"):
        PairedReplicates().score(leaky_table().rows(slice(0, 3)))


def test_a_task_without_modified_entropy_is_refused():
    table = leaky_table()
    with pytest.raises(UserError, match="modified_entropy needs"):
        ModifiedEntropy().score(Evidence(table.losses, table.member))


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_variance_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="'poled'") as refusal:
        LiRA(variance="poled")
    assert "did you mean 'pooled'" in str(refusal.value.hint)


@pytest.mark.parametrize("parameters", [{"gamma": 0.0}, {"offline": 1.5}])
def test_rmia_refuses_impossible_parameters(parameters: dict[str, float]):
    with pytest.raises(UserError, match="rmia: "):
        RMIA(**parameters)


def test_all_of_offline_is_possible():
    assert np.isfinite(RMIA(online=False, offline=1.0).score(leaky_table())).all()


def test_quantile_regression_refuses_a_lower_quantile_and_features_of_other_samples():
    with pytest.raises(UserError, match="upper must lie"):
        QuantileRegression(upper=0.4)
    with pytest.raises(UserError, match="one row for each of 160 samples"):
        QuantileRegression(features=np.zeros((10, 2))).score(leaky_table())


def test_quantile_regression_needs_non_members_in_both_halves():
    member = np.array([[True, True, True, False]])
    with pytest.raises(UserError, match="both halves"):
        QuantileRegression(features=np.zeros((4, 1))).score(Evidence(np.arange(4.0)[None], member))


def test_the_gaussian_plug_in_refuses_too_few_models():
    with pytest.raises(UserError, match="at least 4 independent groups"):
        GaussianPlugIn().advantage(leaky_table(models=6))


def test_the_gaussian_plug_in_refuses_a_sample_that_a_quarter_never_trained_on():
    table = leaky_table(models=16)
    member = table.member.copy()
    member[:, 5] = np.isin(np.arange(16), [0, 1, 4, 5])  # no twins are left, and model i falls into quarter i % 4
    with pytest.raises(UserError, match="among any quarter"):
        GaussianPlugIn().advantage(table.relabelled(member))


@pytest.mark.parametrize("scores", [np.zeros((2, 3)), np.full((16, 160), np.nan)])
def test_a_plug_in_that_returns_no_scores_is_our_callers_bug(scores: np.ndarray):
    class Broken(Attack):
        name = "broken"
        uses_references = False

        def compute(self, target, reference):
            return scores

    with pytest.raises(ValueError, match=r"broken\.compute must return finite scores"):
        Broken().score(leaky_table())


def test_equal_losses_of_all_models_say_nothing():
    table = leaky_table()
    flat = Evidence(np.ones_like(table.losses), table.member)
    for attack in (
        LiRA(),
        LiRA(variance="per_example"),
        LiRA(variance="pooled"),
        RMIA(log_average=True),
        GaussianPlugIn(),
    ):
        np.testing.assert_array_equal(attack.score(flat), np.zeros_like(table.losses))


def test_regression_losses_far_beyond_exp_do_not_overflow():
    table = leaky_table()
    far = Evidence(table.losses * 1e6, table.member)
    for attack in (RMIA(), RMIA(online=False), RMIA(log_average=True)):
        assert np.isfinite(attack.score(far)).all()


def test_rmia_has_as_many_steps_as_samples_and_its_log_average_more():
    table = leaky_table()
    noisy = Evidence(table.losses + np.random.default_rng(0).uniform(0, 1, table.losses.shape), table.member)
    assert len(np.unique(RMIA().score(noisy))) == table.samples
    assert len(np.unique(RMIA(log_average=True).score(noisy))) == noisy.losses.size


@dataclass(frozen=True)
class Writing(Attack):
    """Write into the tables, of the attacker's own models or of the target."""

    own: bool = False
    name: ClassVar[str] = "writing"
    uses_references: ClassVar[bool] = True

    def compute(self, target: Evidence, reference: Evidence | None) -> np.ndarray:
        losses = target.losses if reference is None or not self.own else reference.losses
        losses -= losses.mean(0)
        return -target.losses


def test_an_attack_that_writes_into_its_tables_is_refused():
    table, other = leaky_table(), leaky_table(seed=1)
    before = table.losses.copy(), other.losses.copy()
    for attack, reference in ((Writing(), None), (Writing(own=True), other)):
        with pytest.raises(UserError, match="writing writes into the tables that it is given") as refused:
            attack.score(table, reference)
        assert ".copy()" in str(refused.value.hint)
    np.testing.assert_array_equal(table.losses, before[0])
    np.testing.assert_array_equal(other.losses, before[1])
    table.losses[0, 0] = 5.0  # it is the owner's again
