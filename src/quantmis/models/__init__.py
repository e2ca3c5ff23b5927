"""Models and their training: what is trained, on what loss, and many of them at once. The first room with torch."""

from quantmis.models.binary_loss import BinaryCrossEntropy
from quantmis.models.causal_lm import CausalLM
from quantmis.models.certificate import Certificate
from quantmis.models.dithered_head import DitheredHead
from quantmis.models.dp import DP
from quantmis.models.losses import LOSSES, CrossEntropy, Loss, MultiLabel, SquaredError
from quantmis.models.recipe import Recipe
from quantmis.models.task import Task

__all__ = [
    "DP",
    "LOSSES",
    "BinaryCrossEntropy",
    "CausalLM",
    "Certificate",
    "CrossEntropy",
    "DitheredHead",
    "Loss",
    "MultiLabel",
    "Recipe",
    "SquaredError",
    "Task",
]
