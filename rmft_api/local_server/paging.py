"""Lists in pages: `after` is the id of the last item seen, `limit` how many more are wanted."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from aiohttp import web

from rmft_api.local_server.refusals import invalid


class Item(Protocol):
    """What a list holds."""

    @property
    def id(self) -> str:
        """What `after` names."""
        ...


T = TypeVar("T", bound=Item)


def page(
    items: Sequence[T], query: Mapping[str, str], *, default: int, most: int
) -> tuple[list[T], bool]:
    """The items of the page that `query` asks for, and whether more follow. Raises Refusal."""
    start = _start(items, query.get("after"))
    end = start + _limit(query.get("limit", str(default)), most)
    return list(items[start:end]), len(items) > end


def _start(items: Sequence[Item], after: str | None) -> int:
    if not after:
        return 0
    for place, item in enumerate(items, 1):
        if item.id == after:
            return place
    raise invalid(f"Invalid 'after': nothing in this list has the id {after!r}.", "after")


def _limit(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        message = (
            f"Invalid 'limit': expected an integer from 1 to {most}, but got {text!r} instead."
        )
        raise invalid(message, "limit")
    return int(text)


def listing(items: Sequence[Mapping[str, object]], more: bool = False) -> web.Response:
    """The answer that holds one page; where it is empty, no id may stand in it."""
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {}
    return web.json_response({"object": "list", "data": list(items), **ends, "has_more": more})


def without_nulls(fields: Mapping[str, object], *nullable: str) -> dict[str, object]:
    """The fields without those that are unset; OpenAI's schema allows null in `nullable` only."""
    return {name: value for name, value in fields.items() if value is not None or name in nullable}
