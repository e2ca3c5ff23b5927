"""Which attack single numbers are told by, where there is room for one."""

from collections.abc import Sequence

from quantmis.attacks.base import Attack
from quantmis.attacks.lira import LiRA


def lead_attack(attacks: Sequence[Attack]) -> Attack:
    """Return LiRA in whatever form it was run, else one with reference models, else any that bounds security.

    >>> from quantmis.attacks import LossThreshold, RMIA
    >>> lead_attack([LossThreshold(), RMIA(), LiRA(online=False)]).name
    'lira'
    """
    bounding = [attack for attack in attacks if attack.bounds_security] or list(attacks)
    return max(bounding, key=lambda attack: (isinstance(attack, LiRA), attack.uses_references))
