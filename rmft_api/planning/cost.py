"""What sums of tokens cost at one endpoint, in micro-dollars; None is "unknown"."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rmft_api.core.records import Method, Usage
from rmft_api.planning.plan import Cost, PriceUsed
from rmft_api.planning.token_counts import TokenCounts
from rmft_api.providers.prices import Price, Prices
from rmft_api.providers.profiles import Profile

BASE = -1
"""In place of an iteration: the base itself, before any warm-up."""


class WorstCase(NamedTuple):
    """What a phase's chats take if every trajectory is as long as can be and asks for itself."""

    calls: int
    prompts: int
    """Prompt tokens as the budget bounds them."""
    replies: int
    """Tokens."""


@dataclass(frozen=True)
class PriceSheet:
    """The prices of one endpoint for one base model and its fine-tunes."""

    profile: Profile
    base: str
    prices: Prices
    warmed: bool = False
    """Whether iteration 0 is a fine-tune already: the base after its warm-up."""

    def price(self, model: int) -> Price | None:
        """Of the model of an iteration; below 0: of the base itself, whatever iteration 0 is."""
        tuned = model > 0 or (model == 0 and self.warmed)
        return self.prices.of(tuned_id(self.profile, self.base) if tuned else self.base)

    def playing(self, model: int, counts: TokenCounts, short: TokenCounts, most: WorstCase) -> Cost:
        """Of chats."""
        price = self.price(model)
        if price is None:
            return Cost(None, None, None)
        return Cost(
            low=price.actual(Usage(_up(short.prompt), _up(short.least_output), int(short.cached))),
            expected=price.actual(
                Usage(_up(counts.prompt), _up(counts.output), int(counts.cached))
            ),
            # Every request is reserved for by itself, rounded up.
            worst=_plus(
                price.actual(Usage(most.prompts, most.replies)),
                most.calls if is_charged(price) else 0,
            ),
        )

    def training(
        self, start: int, tokens: tuple[float, float, int], epochs: int, method: Method
    ) -> Cost:
        """Of a job further from the model of iteration `start`. `tokens`: low, expected, worst."""
        price = self.price(start)
        if price is None:
            return Cost(None, None, None)
        return Cost(*(price.training(_up(count), epochs, method) for count in tokens))

    def deployment(self, hours: int | None, most: int) -> Cost:
        """Of a deployment that is rented for so many hours, and for so many at most."""
        price = self.price(1)
        if price is None or hours is None:
            return Cost(None, None, None)
        expected = price.deployment(hours)
        return Cost(expected, expected, price.deployment(most))

    def one_request(self, model: int, prompt_bound: int, replies: int) -> int | None:
        """The most that one request can cost."""
        price = self.price(model)
        return None if price is None else price.actual(Usage(prompt_bound, replies))

    def used(self) -> Iterator[PriceUsed]:
        """The rows of the price list that these bills rest on."""
        for model in (BASE, 1):
            if price := self.price(model):
                yield _price_used(price, " in batches" if self.prices.batch else "")


def tuned_id(profile: Profile, base: str) -> str:
    """How a fine-tune of the base would be called there, as far as prices are concerned."""
    forms = (
        f"ft:{base}:org:run:0",
        f"ft:{base}:ft-0",
        f"ft:{base}:accounts/a/models/0",
        f"ft:{base}:tinker://r:train:0/sampler_weights/final",
        f"{base}.ft-0",
        f"{base}:ftjob-0:ftckpt_0",
        f"{base}:projects/p/locations/l/models/0@1",
        f"{base}:arn:aws:bedrock:r:0:custom-model/0",
    )
    return next((form for form in forms if profile.is_tuned(form)), base)


def is_charged(price: Price) -> bool:
    """Whether chats cost anything at all."""
    return bool(price.input or price.output)


def _price_used(price: Price, how: str) -> PriceUsed:
    def said(name: str) -> str | None:
        amount = getattr(price, name)
        return None if amount is None else str(amount)

    return PriceUsed(
        model=f"{price.model}{how}",
        input=said("input"),
        cached=said("cached"),
        output=said("output"),
        train=said("train"),
        hosting_per_hour=said("hosting_per_hour"),
        as_of=str(price.as_of),
        source=price.source,
        train_dpo=said("train_dpo"),
    )


def _plus(cost: int | None, more: int) -> int | None:
    return None if cost is None else cost + more


def _up(amount: float) -> int:
    return math.ceil(amount - 1e-6)
