"""Shares in percent as a person wrote them."""

from fractions import Fraction


def share(total: int, percent: float) -> Fraction:
    """The exact share of `total`: 32.3 % of 1,000 is 323, though no binary fraction is 32.3."""
    return total * Fraction(str(percent)) / 100
