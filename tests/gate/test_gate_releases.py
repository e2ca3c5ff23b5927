"""Claims about limits on versions that are released together."""

import pytest
from documents import document, released, with_releases
from judged import NOW

from quantmis.gate import Judgement, judge
from quantmis.gate.policy import parse
from quantmis.results import ReleaseResult


def judged(policy: str, *sets: ReleaseResult) -> Judgement:
    return judge(with_releases(document(), *sets), parse(f"[release]\n{policy}".encode()), NOW)


def found(judgement: Judgement) -> list[tuple[str, bool]]:
    return [(each.limit, each.within) for each in judgement.verdicts if each.limit.startswith("release.")]


@pytest.mark.parametrize(("most", "within"), [(0.68, True), (0.669, False)])
def test_a_release_set_is_held_at_the_upper_end_of_its_interval(most: float, within: bool):
    judgement = judged(f"attack_accuracy_at_most = {most}", released(gain=0.02))
    assert found(judgement) == [("release.attack_accuracy_at_most", within)]
    assert judgement.verdicts[-1].version == "identity + sign"


def test_where_the_joint_attack_is_weaker_the_strongest_alone_is_held():
    [verdict] = [
        each for each in judged("attack_accuracy_at_most = 0.64", released(gain=-0.02)).verdicts if each.judged
    ]
    assert verdict.judged == pytest.approx(0.65)
    assert "lira on identity" in verdict.found
    assert not verdict.within


def test_the_gain_of_each_release_set_is_held():
    judgement = judged("gain_at_most = 0.01", released(gain=0.02), released(("sign", "identity"), gain=0.0))
    assert found(judgement) == [("release.gain_at_most", False), ("release.gain_at_most", True)]


def test_a_limit_on_release_sets_that_were_not_attacked_is_exceeded():
    judgement = judged("attack_accuracy_at_most = 0.9")
    assert found(judgement) == [("release.attack_accuracy_at_most", False)]
    assert "attacked no versions together" in judgement.verdicts[-1].reason


def test_a_misspelled_limit_on_release_sets_is_refused():
    with pytest.raises(Exception, match=r"unknown key release\.attack_acuracy_at_most"):
        parse(b"[release]\nattack_acuracy_at_most = 0.6")
