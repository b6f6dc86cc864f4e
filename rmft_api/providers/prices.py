"""What things cost: rows of `prices.toml`, and sums in integer micro-dollars.

One USD per million tokens is one micro-dollar per token, so a price multiplies tokens as it stands.
Sums are rounded up. What is not known is None, never 0, and the caller that spends must refuse it.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import cache, cached_property
from math import lcm
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, Self

from pydantic import Field, ValidationError, field_validator

from rmft_api.config.schema import Section
from rmft_api.core.answer_forms import instructions, way_of
from rmft_api.core.chat_stats import size_of
from rmft_api.core.errors import ConfigError
from rmft_api.core.records import (
    AnswerFormat,
    ChatRequest,
    ChatResponse,
    Message,
    Method,
    Usage,
)

SHIPPED = Path(__file__).with_name("prices.toml")
OWN_ENV = "RMFT_PRICES"
"""Environment variable that names a prices file of the user's own."""
OLD = timedelta(days=60)
"""Prices older than this are reported in plans and by `doctor`."""
_PER_MESSAGE = 16
"""No chat format adds more tokens than this to a message."""
_PER_FORM = 32
"""Tokens around a schema, a tool, a call or its result: no endpoint is known to add more."""
Amount = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None


class _Rates(NamedTuple):
    """Micro-dollars per token times `of`, as integers: exact, and quick to sum."""

    input: int
    cached: int
    output: int
    of: int


class Price(Section):
    """The prices of one model family at one provider: USD per million tokens, or None: unknown."""

    provider: str
    model: str
    input: Amount = None
    cached: Amount = None
    """Prompt tokens that a cache answered; charged as `input` where unknown."""
    output: Amount = None
    batch_input: Amount = None
    batch_cached: Amount = None
    batch_output: Amount = None
    train: Amount = None
    """Per trained token: tokens of the file x epochs."""
    train_dpo: Amount = None
    """The same of a job that learns preferences; absent: as `train`."""
    hosting_per_hour: Amount = None
    shutdown: date | None = None
    as_of: date
    source: str

    @field_validator("*", mode="before")
    @classmethod
    def _unknown_is_said(cls, value: Any) -> Any:
        return None if value == "unknown" else value

    def worst_case(self, request: ChatRequest, prompt_tokens: int) -> int | None:
        """The most that a request can cost, given a bound on its prompt's tokens."""
        return self.actual(Usage(prompt_tokens, request.n * request.sampling.max_tokens))

    def actual(self, usage: Usage) -> int | None:
        """What a request did cost."""
        rates = self._rates
        if rates is None:
            return None
        fresh = usage.prompt_tokens - usage.cached_tokens
        return -(
            -(
                fresh * rates.input
                + usage.cached_tokens * rates.cached
                + usage.completion_tokens * rates.output
            )
            // rates.of
        )

    @cached_property
    def _rates(self) -> "_Rates | None":
        """The prices of a chat; None: unknown."""
        if self.input is None or self.output is None:
            return None
        cached = self.input if self.cached is None else self.cached
        exact = [amount.as_integer_ratio() for amount in (self.input, cached, self.output)]
        of = lcm(*(below for _, below in exact))
        input_, cached_, output = (above * of // below for above, below in exact)
        return _Rates(input_, cached_, output, of)

    def batched(self) -> Self:
        """The same row for chats that are asked in batches."""
        chats = {"input": self.batch_input, "cached": self.batch_cached}
        chats["output"] = self.batch_output
        return type(self).model_validate(self.model_dump() | chats)

    def training(self, tokens: int, epochs: int = 1, method: Method = "supervised") -> int | None:
        """What a job costs. `tokens` that already count epochs (`trained_tokens`): epochs 1."""
        preferences = method == "dpo" and self.train_dpo is not None
        rate = self.train_dpo if preferences else self.train
        return None if rate is None else _up(tokens * epochs * rate)

    def deployment(self, hours: float) -> int | None:
        """What a deployment costs."""
        price = self.hosting_per_hour
        return None if price is None else _up(Decimal(str(hours)) * price * 1_000_000)


class BilledEndpoint(Protocol):
    """What a profile states about its bills."""

    @property
    def price_list(self) -> str:
        """The provider's name in `prices.toml`."""
        ...

    @property
    def paid(self) -> bool:
        """Whether the endpoint bills."""
        ...


class Prices:
    """The prices of one endpoint. `own` is a file of the user's; `batch`: chats go in batches."""

    def __init__(
        self, endpoint: BilledEndpoint, own: Path | None = None, *, batch: bool = False
    ) -> None:
        self._endpoint = endpoint
        self._batch = batch
        self._own = own
        self._known: dict[str, Price | None] = {}

    @property
    def batch(self) -> bool:
        """Whether these are the prices of chats in batches."""
        return self._batch

    def of(self, model: str) -> Price | None:
        """The model's prices; None where they are unknown."""
        if model not in self._known:
            found = self._find(model)
            self._known[model] = found.batched() if found and self._batch else found
        return self._known[model]

    def check(self, *models: str) -> None:
        """Refuse models whose answers have no known price. Raises ConfigError."""
        for model in models:
            price = self.of(model)
            if price is None or price.input is None or price.output is None:
                raise ConfigError(
                    f"no price is known for {model!r} at {self._endpoint.price_list!r}: write one "
                    f"into a prices file and name it in {OWN_ENV}, or say paid = false in a "
                    "profile of yours"
                )

    def worst_case(self, request: ChatRequest) -> int | None:
        """The most that a request can cost; None: unknown."""
        price = self.of(request.model)
        if price is None:
            return None
        if not price.input and not price.output:
            return price.actual(_NOTHING)
        more = 0 if request.answer is None else most_of_form(request.answer, len(request.messages))
        if request.stats is None:
            return price.worst_case(request, most_tokens(request.messages) + more)
        return price.worst_case(request, _bound(request.stats.size, len(request.messages)) + more)

    def cost(self, request: ChatRequest, reply: ChatResponse) -> int | None:
        """What a reply cost; None where it does not say, or the price is unknown."""
        price = self.of(request.model)
        return None if price is None or reply.usage is None else price.actual(reply.usage)

    def training(
        self, model: str, tokens: int, epochs: int = 1, method: Method = "supervised"
    ) -> int | None:
        """What it costs to train `model` further; None: unknown."""
        price = self.of(model)
        return None if price is None else price.training(tokens, epochs, method)

    def deployment_hour(self, model: str) -> int | None:
        """What an hour of a deployment of the model costs; None: unknown."""
        price = self.of(model)
        return None if price is None else price.deployment(1)

    def _find(self, model: str) -> Price | None:
        if not self._endpoint.paid:
            return price_of("local", model)
        return price_of(self._endpoint.price_list, model, self._own)


_NOTHING = Usage(0, 0)


def price_of(provider: str, model: str, own: Path | None = None) -> Price | None:
    """The row of a model, fine-tuned or not; None where there is none. Raises ConfigError."""
    own = own or (Path(named) if (named := os.environ.get(OWN_ENV)) else None)
    tables = [load(path) for path in (own, SHIPPED) if path]
    found = next((row for table in tables if (row := table.find(provider, model))), None)
    return None if found is None else _with_training(found, tables)


def rows(own: Path | None = None) -> tuple[Price, ...]:
    """All rows, those of the user's own file first. Raises ConfigError."""
    own = own or (Path(named) if (named := os.environ.get(OWN_ENV)) else None)
    tables = [load(path) for path in (own, SHIPPED) if path]
    return tuple(_with_training(row, tables) for table in tables for row in table.price)


def is_old(as_of: date, today: date) -> bool:
    """Whether a row should be checked again."""
    return today - as_of > OLD


class TrainingPrice(Section):
    """What a provider charges for training models of a size, USD per million trained tokens."""

    provider: str
    most_billions: Annotated[float, Field(gt=0)]
    """Parameters of the largest base of this row; a smaller row comes first."""
    train: Decimal = Field(ge=0, allow_inf_nan=False)
    train_dpo: Amount = None
    as_of: date
    source: str


class PriceTable(Section):
    """The rows of one file."""

    price: tuple[Price, ...] = ()
    training: tuple[TrainingPrice, ...] = ()
    """Of bases by their size, for rows of `price` that do not say what training costs."""

    def find(self, provider: str, model: str) -> Price | None:
        """The row of the longest family that the model belongs to."""
        rows = self._by_provider.get(provider, ())
        fits = [row for row in rows if row.model == "*" or _belongs(model, row.model)]
        return max(fits, key=lambda row: len(row.model), default=None)

    def by_size(self, provider: str, model: str) -> TrainingPrice | None:
        """What training a base of this size costs; None where its name has no size."""
        size = _billions(model)
        rows = [
            row
            for row in self.training
            if row.provider == provider and size is not None and size <= row.most_billions
        ]
        return min(rows, key=lambda row: row.most_billions, default=None)

    @cached_property
    def _by_provider(self) -> Mapping[str, list[Price]]:
        rows: dict[str, list[Price]] = {}
        for row in self.price:
            rows.setdefault(row.provider, []).append(row)
        return rows


def _with_training(row: Price, tables: Sequence[PriceTable]) -> Price:
    """The row with what training costs, by size where it does not say; as old as the older."""
    sizes = (table.by_size(row.provider, row.model) for table in tables)
    sized = next((found for found in sizes if found), None)
    if sized is None or "train" in row.model_fields_set:
        return row
    return row.model_copy(
        update={
            "train": sized.train,
            "train_dpo": sized.train_dpo,
            "as_of": min(row.as_of, sized.as_of),
            "source": f"{row.source}; training: {sized.source}",
        }
    )


@cache
def load(path: Path) -> PriceTable:
    """The rows of a file. Raises ConfigError."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
        table = PriceTable.model_validate(raw)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"prices {path}: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"prices {path}: {where}: {first['msg']}") from None
    names = [f"{row.provider} {row.model}" for row in table.price]
    names += [
        f"{row.provider} training up to {row.most_billions:g} billion parameters"
        for row in table.training
    ]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"prices {path}: {name} is listed twice")
    return table


def most_tokens(messages: tuple[Message, ...]) -> int:
    """A bound on the tokens of a prompt: no token is shorter than a byte."""
    size = 0
    for message in messages:
        size += size_of(message.content)
    return _bound(size, len(messages))


def most_of_form(answer: AnswerFormat, messages: int) -> int:
    """A bound on what the form of an answer adds to a prompt of so many messages.

    The schema or the tool, and for each call that the chat repeats its id and its result.
    """
    instruction_text = instructions(answer.form, answer.names, answer.reasoned)
    calls = messages if way_of(answer.form) == "tool" else 0
    return len(instruction_text) + (2 * calls + 1) * _PER_FORM


def _bound(size: int, count: int) -> int:
    return size + _PER_MESSAGE * (count + 1)


def _up(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_CEILING))


_EXPERTS = re.compile(r"-[0-9]+E(?![a-z0-9])", re.IGNORECASE)
_SIZE = re.compile(r"(?<![0-9a-z.])([0-9]+(?:\.[0-9]+)?)b(?![a-z0-9])", re.IGNORECASE)


def _billions(model: str) -> float | None:
    """Parameters that an open model has by its name, in billions: the most that it names.

    `Llama-4-Scout-17B-16E` names those of one expert alone, and so no size.
    """
    sizes = [] if _EXPERTS.search(model) else [float(found) for found in _SIZE.findall(model)]
    return max(sizes, default=None)


@cache
def _pattern(family: str) -> re.Pattern[str]:
    return re.compile(re.escape(family) + r"(-[0-9]{4}-[0-9]{2}-[0-9]{2})?(:.*|[.]ft-.*)?")


def _belongs(model: str, family: str) -> bool:
    """Whether `model` is the family, a dated snapshot of it, or a fine-tune of either.

    OpenAI writes a fine-tune `ft:<base>:...`, Azure `<base>.ft-...`.
    """
    return _pattern(family).fullmatch(model) is not None
