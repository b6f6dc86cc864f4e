"""`python -m tests.fake_provider --state DIR [--port 0] [--ready-file F] [--script F]`."""

import argparse
import asyncio
import signal
from contextlib import suppress
from pathlib import Path

from tests.fake_provider import settings
from tests.fake_provider.app import App
from tests.fake_provider.server import Server, watch_parent
from tests.fake_provider.store import Store


def warm() -> None:
    """Nothing is left to import: for servers that are forked from a process that is ready."""


def main() -> None:
    """Serve until a signal or until the parent is gone."""
    parser = argparse.ArgumentParser(prog="tests.fake_provider")
    parser.add_argument("--state", type=Path, required=True, help="where the books are kept")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-file", type=Path, help="gets the port once it listens")
    parser.add_argument("--script", type=Path, help='{"settings": {..}, "rules": [..]}')
    args = parser.parse_args()
    args.state.mkdir(parents=True, exist_ok=True)
    given, rules = settings.read(args.script)
    app = App(Store(args.state / "provider.sqlite"), given, rules)
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(_serve(Server(app, args.port), args.ready_file))


async def _serve(server: Server, ready: Path | None) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.gather(server.run(ready), watch_parent())


if __name__ == "__main__":
    main()
