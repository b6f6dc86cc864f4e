"""One of several processes that train together: `COMMAND -m rmft_api.local_server.hf.rank FOLDER`.

The first of them says how it goes, in lines of JSON (`launcher`); all else that they print goes
to the log.
"""

import os
import select
import sys
import threading
from pathlib import Path

from rmft_api.core.errors import StorageError
from rmft_api.local_server import storage
from rmft_api.local_server.engine import EngineError, TrainingStep
from rmft_api.local_server.hf import launcher
from rmft_api.local_server.hf.chats import ChatTokenizer
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.local_server.hf.launcher import (
    AdapterSaved,
    CannotGoOn,
    Line,
    SharedSettings,
    StepDone,
)
from rmft_api.local_server.hf.memory import is_out_of_memory
from rmft_api.local_server.hf.packages import package

ORPHANED = 75
TOO_LARGE = (
    "training does not fit into the memory of one of its processes; serve with --set micro_batch=1 "
    "--set gradient_checkpointing=true, or shard the weights (FSDP) with the launcher"
)


class RankWriter:
    """Lines to the trainer, from the first process; the others write none."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._saved: int | None = None

    def say(self, line: Line) -> None:
        """Send one line, as one write."""
        self._out.write(launcher.ENCODER.encode(line) + b"\n")

    def report(self, step: TrainingStep) -> None:
        """Report a step; the adapter saved before it is whole by now."""
        self.settle()
        self.say(StepDone(step))

    def place(self, scratch: Path, step: int) -> Path:
        """Where to save the adapter after `step`."""
        self.settle()
        self._saved = step
        return launcher.adapter_file(scratch, step)

    def settle(self) -> None:
        """Report the adapter that was saved since the last call."""
        if self._saved is not None:
            self.say(AdapterSaved(self._saved))
            self._saved = None


def watch_input() -> None:
    """End this process when its standard input is closed at the other end. Reads nothing of it."""
    poll = select.poll()
    poll.register(0, 0)
    while not any(event & select.POLLHUP for _, event in poll.poll()):
        pass
    os._exit(ORPHANED)


def train(shared: SharedSettings, scratch: Path, voice: RankWriter) -> None:
    """Do this process's share."""
    from rmft_api.local_server.hf.network import device_of
    from rmft_api.local_server.hf.tuning import Tuning

    on_cpu = device_of(shared.settings.device).startswith("cpu")
    state = package("accelerate").PartialState(cpu=on_cpu)  # joins the others
    checkpoint = CheckpointFolder(shared.settings)
    tuning = Tuning(checkpoint, ChatTokenizer(checkpoint), shared.recipe, scratch)
    first = bool(state.is_main_process)
    tuning.run(
        lambda step: voice.place(scratch, step), voice.report if first else lambda step: None
    )
    if first:
        voice.settle()
    state.destroy_process_group()


def main(scratch: Path) -> None:
    """Train, and say why where that does not go."""
    threading.Thread(target=watch_input, daemon=True).start()
    voice = RankWriter()
    first = os.environ.get("RANK", "0") == "0"
    try:
        with storage.waited_for(scratch / f"rank-{os.environ.get('RANK', '0')}.lock"):
            train(launcher.read_shared(scratch), scratch, voice)
    except EngineError as error:
        voice.say(CannotGoOn(error.code, str(error), error.param))
        sys.exit(1)
    except StorageError as error:
        voice.say(CannotGoOn("server_error", str(error)))
        sys.exit(1)
    except OSError as error:
        if not first:
            raise
        voice.say(CannotGoOn("server_error", str(error), None, error.errno))
        sys.exit(1)
    except Exception as error:
        from rmft_api.local_server.hf import limits

        if first and limits.is_disk_full(error):
            full = limits.disk_full(error)
            voice.say(CannotGoOn("disk_full", str(full.strerror), None, full.errno))
            sys.exit(1)
        if not is_out_of_memory(error):
            raise
        voice.say(CannotGoOn("out_of_memory", TOO_LARGE, "hyperparameters"))
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
