"""This run against a stored one: what changed by more than the noise of both."""


def changes(new, old):
    """[(row of new, row of old, change)]: figures of both, change relative to the old value."""
    before = {row["name"]: row for row in old}
    found = []
    for row in new:
        other = before.get(row["name"])
        if other and row["value"] is not None and other.get("value"):
            found.append((row, other, row["value"] / other["value"] - 1))
    return found


def beyond_noise(row, other, change, least=0.05):
    """Whether a change is larger than the spread of either run and than `least`, the noise that no run shows."""
    return abs(change) > max(least, row["spread"] or 0, other.get("spread") or 0)


def lines(new, old):
    """One line for each figure that changed; a line that says so when none did."""
    said = [f"{row['title']} ({row['unit']}): {other['value']:.3g} -> {row['value']:.3g} ({change:+.0%})"
            for row, other, change in changes(new, old) if beyond_noise(row, other, change)]
    return said or ["no figure changed by more than the noise"]
