"""Membership inference security: the rates, the indicator, and MIS itself. NumPy and SciPy only."""
