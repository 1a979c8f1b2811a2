"""Medians, and how far the rounds lie apart."""

import statistics


def median(values):
    """The median of what was measured; None when nothing was."""
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def spread(values):
    """(largest - smallest) / median of the rounds: the noise of a figure. None for fewer than two."""
    known = [v for v in values if v is not None]
    middle = median(known)
    return (max(known) - min(known)) / middle if len(known) > 1 and middle else None


def highest(passes, start, least, most, steps):
    """The highest value for which passes(value) held, found by doubling and then halving the (logarithmic) gap.

    passes is expected to hold below some value and not above it; noise may blur that. At most `steps` trials; None when
    nothing from `least` up holds.
    """
    good, bad = None, None
    value = start
    for _ in range(steps):
        if passes(value):
            good = max(good or 0, value)
            if value >= most:
                break
        else:
            bad = min(bad or most * 2, value)
            if value <= least:
                break
        if good is None:
            value = max(least, bad / 4)
        elif bad is None:
            value = min(most, good * 2)
        elif bad <= good * 1.05:
            break
        else:
            value = (good * bad) ** 0.5
    return good
