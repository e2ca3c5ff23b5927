"""Samples, who is a member of what, and where samples come from."""

from quantmis.data.membership import complementary_halves
from quantmis.data.samples import Samples

__all__ = ["Samples", "complementary_halves"]
