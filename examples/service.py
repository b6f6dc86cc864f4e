"""Serve decisions of a run's champion over HTTP: `python examples/service.py runs/quickstart`.

POST /games                {"actions": [...], "rounds": 30, "story": "..."}  begins a game
POST /games/ID/decide      {"context": "..."}, or {}                         the action to take
POST /games/ID/observe     {"reward": 1.0}, or {"rewards": {...}}            what it earned
GET  /games/ID                                                               its state, to keep
"""

import sys
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec
from aiohttp import web

from rmft_api.api import Decider, Game
from rmft_api.errors import DataError, RmftError, UsageError

DECIDER, GAMES = web.AppKey("decider", Decider), web.AppKey("games", dict[str, Game])


async def start(request: web.Request) -> web.Response:
    """Begin a game."""
    name = uuid.uuid4().hex
    game = request.app[DECIDER].start(**await request.json())
    request.app[GAMES][name] = game
    return web.json_response({"id": name, "actions": game.actions, "notes": game.notes})


async def decide(request: web.Request) -> web.Response:
    """Ask the model."""
    decision = await game_of(request).decide(**await request.json())
    return web.json_response(body=msgspec.json.encode(decision))


async def observe(request: web.Request) -> web.Response:
    """Tell what the decision earned."""
    game = game_of(request)
    game.observe(**await request.json())
    return web.json_response({"round": game.round, "over": game.over, "notes": game.notes})


async def state(request: web.Request) -> web.Response:
    """The game as JSON; `Decider.load_game` goes on with it."""
    return web.json_response(game_of(request).dump())


def game_of(request: web.Request) -> Game:
    """The game that an address names."""
    game = request.app[GAMES].get(request.match_info["game"])
    if game is None:
        raise web.HTTPNotFound(text="no such game")
    return game


@web.middleware
async def in_one_line(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A request that cannot be followed is answered with 400, a model that cannot be with 503."""
    try:
        return await handler(request)
    except (UsageError, DataError, TypeError, ValueError) as error:
        return web.json_response({"error": str(error)}, status=400)
    except RmftError as error:
        return web.json_response({"error": str(error)}, status=503)


def app(decider: Decider) -> web.Application:
    """One decider, many games."""

    async def connected(_: web.Application) -> AsyncGenerator[None]:
        async with decider:
            yield

    served = web.Application(middlewares=[in_one_line])
    served[DECIDER], served[GAMES] = decider, {}
    served.cleanup_ctx.append(connected)
    served.router.add_post("/games", start)
    served.router.add_post("/games/{game}/decide", decide)
    served.router.add_post("/games/{game}/observe", observe)
    served.router.add_get("/games/{game}", state)
    return served


if __name__ == "__main__":
    web.run_app(app(Decider.of_run(sys.argv[1], on_unreadable="greedy")), host="127.0.0.1")
