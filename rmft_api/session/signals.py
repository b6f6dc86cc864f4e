"""Ctrl-C and SIGTERM: the first stops launching and drains, the second cuts, the third leaves.

A request under way was paid for: its reply is awaited and saved before the program ends
(docs/faults.md 3.6).
"""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from rmft_api.core.errors import InterruptedRunError
from rmft_api.core.ports import ChatModel
from rmft_api.core.records import ChatRequest, ChatResponse

_LEAVES = 3
"""The signal after which the program waits for nothing."""
DRAIN_S = {signal.SIGINT: 60.0, signal.SIGTERM: 20.0, signal.SIGHUP: 20.0}


class StopSignal:
    """Whether the run is to end. `name` is the run's, for the message."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name = name
        self._say = say
        self._asked = asyncio.Event()
        self._work: asyncio.Task[Any] | None = None
        self._count = 0
        self._is_over = False
        self.signal_number = 0
        self.cut = asyncio.Event()

    def listen(self, work: asyncio.Task[Any]) -> None:
        """Answer signals from now on; `work` is what they stop."""
        self._work = work
        loop = asyncio.get_running_loop()
        for number in DRAIN_S:
            loop.add_signal_handler(number, self._signalled, number)

    def rest(self) -> None:
        """Only closing is left, which a signal would not shorten; the third still leaves."""
        self._is_over = True

    def check(self) -> None:
        """Raise InterruptedRunError once the run was asked to end."""
        if self._asked.is_set():
            raise self.error()

    def error(self) -> InterruptedRunError:
        """What the program ends with."""
        return InterruptedRunError(
            f"interrupted; everything received is saved: `rmft-api resume {self._name}` continues",
            self.signal_number,
        )

    @property
    def drain_s(self) -> float:
        """How long requests under way are awaited."""
        return DRAIN_S.get(signal.Signals(self.signal_number or signal.SIGINT), 60.0)

    async def sleep(self, seconds: float) -> None:
        """Sleep that a signal ends. Raises InterruptedRunError then."""
        self.check()
        try:
            await asyncio.wait_for(self._asked.wait(), seconds)
        except TimeoutError:
            return
        self.check()

    def _signalled(self, number: int) -> None:
        self._count += 1
        self.signal_number = self.signal_number or number
        if self._is_over and self._count < _LEAVES:
            return
        if self._count == 1:
            self._say("stopping: waiting for requests under way; once more to cut them off")
            self._asked.set()
        elif self._count == 2:
            self.cut.set()
            if self._work is not None:
                self._work.cancel()
        else:
            os._exit(128 + number)


class StoppableChat:
    """A chat model that takes no new request once the run was asked to end."""

    def __init__(self, chat: ChatModel, stop: StopSignal) -> None:
        self._chat = chat
        self._stop = stop

    async def reply(self, request: ChatRequest) -> ChatResponse:
        """As the model replies. Raises InterruptedRunError instead of launching a request."""
        self._stop.check()
        return await self._chat.reply(request)
