"""A clock that moves only when somebody sleeps."""

import asyncio


class VirtualTime:
    """Gives `clock` and `sleep`; an hour of waiting passes at once."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
