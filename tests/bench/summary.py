"""Medians, spreads and ratios of runs."""

import math
import statistics


class Spread:
    """The median of some runs, and the least and most of them."""

    def __init__(self, values):
        self.median = statistics.median(values)
        self.least = min(values)
        self.most = max(values)
        self.count = len(values)


def percentile(values, percent):
    """By nearest rank: the least value that so many percent do not exceed. None stands for never,
    which is longer than all; None when there are no values."""
    if not values:
        return None
    ordered = sorted(math.inf if value is None else value for value in values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(entry, field):
    """Of one field of a peer's runs; None when no run has it."""
    values = [run[field] for run in entry["runs"] if run.get(field) is not None]
    return Spread(values) if values else None


def ratio(ours, theirs):
    """How many times theirs ours is; None when it cannot be said."""
    if ours is None or theirs is None or theirs.median == 0:
        return None
    return ours.median / theirs.median


def jain(rates):
    """Jain's index of fairness (RFC 5166, section 2.3): 1 is equal shares, 1/n is all to one."""
    squares = sum(rate * rate for rate in rates)
    if squares == 0:
        return None
    return sum(rates) ** 2 / (len(rates) * squares)


def number(value):
    """Three figures that mean something, without an exponent."""
    if value is None:
        return "–"
    if value == math.inf:
        return "never"
    if value == 0:
        return "0"
    magnitude = abs(value)
    if magnitude >= 100:
        return f"{value:.0f}"
    if magnitude >= 10:
        return f"{value:.1f}"
    if magnitude >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}" if magnitude >= 0.01 else f"{value:.2g}"
