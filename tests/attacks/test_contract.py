"""Every registered attack keeps the contract, with its default parameters and with the variants worth a test."""

import pytest

from quantmis.attacks import ATTACKS
from quantmis.testing import AttackContract

VARIANTS = [
    "lira(online=False)",
    'lira(variance="pooled")',
    'lira(variance="per_example")',
    'lira(online=False, variance="per_example")',
    "rmia(online=False)",
    "rmia(gamma=2.0)",
    "rmia(log_average=True)",
]


@pytest.fixture(params=[*ATTACKS.names(), *VARIANTS])
def _attack(request: pytest.FixtureRequest):
    request.cls.attack = ATTACKS.parse(request.param)


@pytest.mark.usefixtures("_attack")
class TestEveryAttack(AttackContract):
    """The suite that plug-in authors subclass."""


def test_every_attack_says_whether_it_bounds_security():
    unbounded = [name for name in ATTACKS.names() if not ATTACKS.find(name).bounds_security]
    assert unbounded == ["paired_replicates"]


def test_the_contract_finds_an_inverted_attack():
    class Inverted(AttackContract):
        attack = _Inverted()

    with pytest.raises(AssertionError):
        Inverted().test_members_score_higher()


def test_the_contract_finds_an_attack_that_reads_the_answer():
    class Cheating(AttackContract):
        attack = _Cheating()

    for test in (
        Cheating().test_where_nothing_leaks_nothing_is_found,
        Cheating().test_the_answer_does_not_enter_the_score,
    ):
        with pytest.raises(AssertionError):
            test()


class _Inverted(ATTACKS.find("loss_threshold")):
    def compute(self, target, reference):
        return target.losses


class _Cheating(ATTACKS.find("loss_threshold")):
    def compute(self, target, reference):
        return target.member - 0.1 * target.losses
