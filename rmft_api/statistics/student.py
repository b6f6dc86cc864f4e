"""Student's t without scipy: two functions are no reason for a 35 MB dependency."""

import functools
import math


def cdf(t: float, freedom: float) -> float:
    """P(T <= t) with `freedom` degrees of freedom."""
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    tail = 0.5 * incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
    return 1.0 - tail if t > 0 else tail


def two_sided(t: float, freedom: float) -> float:
    """P(|T| >= |t|)."""
    return 2.0 * cdf(-abs(t), freedom)


@functools.cache
def quantile(p: float, freedom: float) -> float:
    """The t with P(T <= t) = p, by halving."""
    if not 0.0 < p < 1.0:
        raise ValueError(f"p={p} is not a probability between 0 and 1")
    if p < 0.5:
        return -quantile(1.0 - p, freedom)
    low, high = 0.0, 1.0
    while cdf(high, freedom) < p:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if cdf(middle, freedom) < p else (low, middle)
    return (low + high) / 2.0


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x below which a Beta(a, b) lies with probability p, by halving."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if incomplete_beta(middle, a, b) < p else (low, middle)
    return (low + high) / 2.0


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of I_x, by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0), tiny)
    value = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1.0 / _away(1.0 + step * d, tiny)
            c = _away(1.0 + step / c, tiny)
            value *= c * d
        if abs(c * d - 1.0) < 1e-14:
            break
    return value


def _away(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
