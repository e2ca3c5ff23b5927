"""The loss tables of an audit: what they hold, how they are saved, and how they are read back. No torch."""

from quantmis.data.secret_scores import SecretScores
from quantmis.tables.forgetting import Forgetting
from quantmis.tables.loss_table import Candidates, LossTable, slug
from quantmis.tables.traits import FULL_PRECISION, VersionTraits

__all__ = ["FULL_PRECISION", "Candidates", "Forgetting", "LossTable", "SecretScores", "VersionTraits", "slug"]
