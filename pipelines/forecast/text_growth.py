"""How much text a source holds, and how much of it is distinct, estimated from some patients.

Copies of a patient's own notes lie in the sample with their originals. Text that many patients'
notes share, such as the phrases of a template, is a growing share of the whole. So distinct text
grows more slowly than notes: as n**b (Heaps 1978), with the b that the sample itself shows between
its parts. In truth b changes with n. The lower end of the interval lets b go on falling as it fell
within the sample. The upper end follows the tangent: distinct text cannot rise above it, because
each further patient brings less that is new. This is pure arithmetic over a small histogram;
`run_forecast` knows where the histogram comes from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# The sample's patients are dealt into this many groups.
GROUPS = 10
ALL_GROUPS = 2**GROUPS - 1
# An interval reaches this many standard errors to both sides of the estimate: about 95 of 100.
ERRORS = 2.0
# Steps of the integration from the size of the sample to that of the source, as the exponent falls.
STEPS = 100


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the ends of its interval; `low <= value <= high`."""

    value: float
    low: float
    high: float

    @classmethod
    def around(cls, value: float, error: float) -> Estimate:
        """A figure with its standard error; the low end is cut at 0: no figure here is negative."""
        return cls(value, max(0.0, value - ERRORS * error), value + ERRORS * error)

    @classmethod
    def exact(cls, value: float) -> Estimate:
        """A figure that is known."""
        return cls(value, value, value)

    def plus(self, other: Estimate) -> Estimate:
        """The sum of two figures that err independently."""
        value = self.value + other.value
        below = math.hypot(self.value - self.low, other.value - other.low)
        above = math.hypot(self.high - self.value, other.high - other.value)
        return Estimate(value, max(0.0, value - below), value + above)

    def times(self, factor: float) -> Estimate:
        """The same figure in another unit."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def over(self, other: Estimate) -> Estimate:
        """The quotient of two figures that err independently; `other.low` is above 0."""
        value = self.value / other.value
        below = math.hypot(_part(self, self.low), _part(other, other.high))
        above = math.hypot(_part(self, self.high), other.value / other.low - 1)
        return Estimate(value, value * max(0.0, 1 - below), value * (1 + above))


def _part(of: Estimate, end: float) -> float:
    """How far an end is from the value, as a fraction of the value."""
    return abs(of.value - end) / of.value if of.value else 0.0


@dataclass(frozen=True, slots=True)
class TextSample:
    """Amounts of text in the groups (0 to GROUPS - 1) of a sample.

    `sizes` holds the size of each group, in the unit in which the size of the source is known.
    `totals` holds the amount of text in each group. `distinct` holds, for each set of groups (a bit
    mask), the amount of distinct text that stands in exactly these groups.
    """

    sizes: Mapping[int, float]
    totals: Mapping[int, float]
    distinct: Mapping[int, float]

    def total(self, size: float) -> Estimate:
        """All text of a source of this size, of which the sample is a part."""
        return self._estimate(self._total_in, size, lambda _: 1.0)

    def distinct_total(self, size: float) -> Estimate:
        """Distinct text of such a source: what stands in several places is counted once."""
        found = self._estimate(self._distinct_in, size, self._exponent)
        # The text that the sample holds is certain to be there.
        least = self._distinct_in(ALL_GROUPS)
        error = found.value - found.low
        low = max(least, min(found.value, self._distinct_at_least(size)) - error)
        high = max(found.value, self._distinct_at_most(size)) + error
        return Estimate(max(least, found.value), low, max(least, high))

    def _estimate(
        self, of: Callable[[int], float], size: float, exponent: Callable[[int], float]
    ) -> Estimate:
        """Extrapolates what groups hold to a size; a jackknife over the groups gives the error."""

        def grown(groups: int) -> float:
            own = _sum_of(self.sizes, groups)
            return of(groups) * (size / own) ** exponent(groups) if own else 0.0

        share = self._share(size)
        if share >= 1:
            return Estimate.exact(of(ALL_GROUPS))
        without = [grown(ALL_GROUPS & ~(1 << group)) for group in range(GROUPS)]
        mean = sum(without) / GROUPS
        variance = (GROUPS - 1) / GROUPS * sum((one - mean) ** 2 for one in without)
        # The larger the sample's share of the source, the less is left to be wrong about.
        return Estimate.around(grown(ALL_GROUPS), math.sqrt(variance * (1 - share)))

    def _share(self, size: float) -> float:
        return _sum_of(self.sizes, ALL_GROUPS) / size if size else 1.0

    def _distinct_at_least(self, size: float) -> float:
        """Distinct text if b goes on falling as it fell from a quarter of the sample to all."""
        whole, half, quarter = map(self._mean_distinct, (GROUPS, GROUPS // 2, GROUPS // 4))
        if self._share(size) >= 1 or not quarter:
            return whole
        late = math.log(whole / half) / math.log(2)
        early = math.log(half / quarter) / math.log((GROUPS // 2) / (GROUPS // 4))
        # Each is the exponent in the middle of its stretch, on a logarithmic scale.
        apart = math.log(GROUPS / (GROUPS // 4)) / 2
        fall = max(0.0, early - late) / apart
        logarithm, step = math.log(whole), -math.log(self._share(size)) / STEPS
        for i in range(STEPS):
            ahead = math.log(2) / 2 + (i + 0.5) * step
            logarithm += max(0.0, min(1.0, late) - fall * ahead) * step
        return math.exp(logarithm)

    def _distinct_at_most(self, size: float) -> float:
        """Distinct text if each further patient brings as much as the last ones of the sample."""
        share = self._share(size)
        further = 1 / share - 1 if 0 < share < 1 else 0.0
        return self._distinct_in(ALL_GROUPS) * (1 + self._exponent(ALL_GROUPS) * further)

    def _exponent(self, groups: int) -> float:
        """The b of distinct text = a · n**b, between all of these groups and halves of them."""
        number = groups.bit_count()
        whole = self._distinct_in(groups)
        half = self._mean_distinct(number // 2, groups)
        return min(1.0, math.log(whole / half) / math.log(number / (number // 2))) if half else 1.0

    def _mean_distinct(self, size: int, groups: int = ALL_GROUPS) -> float:
        """Mean distinct text in `size` neighbours among some groups, over all such neighbours."""
        numbers = [group for group in range(GROUPS) if groups >> group & 1]
        parts = [
            sum(1 << numbers[(begin + i) % len(numbers)] for i in range(size))
            for begin in range(len(numbers))
        ]
        return sum(map(self._distinct_in, parts)) / len(parts)

    def _total_in(self, groups: int) -> float:
        return _sum_of(self.totals, groups)

    def _distinct_in(self, groups: int) -> float:
        return sum(amount for mask, amount in self.distinct.items() if mask & groups)


def _sum_of(amounts: Mapping[int, float], groups: int) -> float:
    return sum(amount for group, amount in amounts.items() if groups >> group & 1)
