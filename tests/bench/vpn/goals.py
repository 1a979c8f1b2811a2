"""What a measurement was to reach, and whether it did."""

import dataclasses


@dataclasses.dataclass
class Goal:
    what: str
    value: float  # None: it was not measured
    bound: float
    unit: str = "s"
    at_least: bool = False

    @property
    def reached(self):
        if self.value is None:
            return False
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self):
        value = "not measured" if self.value is None else f"{self.value:,.3g} {self.unit}" if self.value < 1000 else f"{self.value:,.0f} {self.unit}"
        word = "at least" if self.at_least else "at most"
        return f"{self.what}: {value}, {word} {self.bound:,g} {self.unit}: {'reached' if self.reached else 'not reached'}"


def judge(goals):
    """Says each, and whether all are reached."""
    for goal in goals:
        print(goal, flush=True)
    return all(goal.reached for goal in goals)
