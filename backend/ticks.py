"""Round numbers for the axes of drawings."""

import math

INTERVALS = 5


def round_ticks(low: float, high: float) -> list[float]:
    """The multiples within low to high of 1, 2 or 5 times a power of ten; six at most."""
    span = high - low
    if not span > 0:
        return [float(low)]
    power = 10.0 ** math.floor(math.log10(span / INTERVALS))
    step = next(one for one in (power, 2 * power, 5 * power, 10 * power) if one * INTERVALS >= span)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(number * step, digits) for number in range(first, last + 1)]
