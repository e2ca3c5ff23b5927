"""Claims about the part of samples and target that a search leaves aside: nothing that was said of them is lost."""

import numpy as np
from torch import nn

import quantmis as qm
from quantmis.search.confirming import part_of, target_on


def test_a_part_of_a_target_keeps_all_that_is_known_of_it():
    members, others = np.arange(40), np.arange(40, 80)
    whole = qm.Target(
        nn.Linear(2, 2), members, others, overlap="drop", like="sign", utility=0.8, members_utility=0.95, name="ours"
    )
    rows = np.arange(0, 80, 2)
    part = target_on(whole, rows, 80)
    assert rows[part.members].tolist() == [row for row in rows if row < 40]
    assert rows[part.non_members].tolist() == [row for row in rows if row >= 40]
    kept = ("weights", "overlap", "like", "utility", "members_utility", "name", "versions", "confounded")
    assert {name: getattr(part, name) for name in kept} == {name: getattr(whole, name) for name in kept}


def test_a_part_of_samples_keeps_the_names_of_classes_with_and_without_groups():
    x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    samples = qm.Samples(x, y, groups=np.arange(60) // 2, class_names=["no", "yes"])
    alone, together = part_of(samples, np.arange(0, 60, 2)), part_of(samples, np.arange(40))
    assert (alone.groups is None, together.groups is None) == (True, False)
    assert alone.class_names == together.class_names == ("no", "yes")
