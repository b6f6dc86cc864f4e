"""`rmft-api serve`: the local server as a command."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rmft_api.core.errors import ConfigError

STATE = Path(".rmft-server")
"""Where the server keeps its files when no --state is given."""


Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")]
State = Annotated[Path, typer.Option(help="Folder of files, jobs and models.")]
Engine = Annotated[
    list[str] | None,
    typer.Option(
        help="Model family to serve: tiny, numeric, players, scripted, hf or module:Class."
    ),
]
Checkpoint = Annotated[
    str | None,
    typer.Option(help="Engine hf: a folder in Hugging Face's format, or an id at the hub."),
]
EngineSetting = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Engine hf: a setting, as lora_rank=8."),
]
InferenceUrl = Annotated[
    str | None,
    typer.Option(help="Engine hf: train here, let the server at this base URL answer chats."),
]
KeyVariable = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Environment variable with the key clients must send."),
]
UntilStdinCloses = Annotated[
    bool, typer.Option("--until-stdin-closes", help="End when standard input does.")
]
ReadyFile = Annotated[
    Path | None, typer.Option(help='File that gets {"base_url": ...} once the server answers.')
]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8009,
    state: State = STATE,
    engine: Engine = None,
    checkpoint: Checkpoint = None,
    set_: EngineSetting = None,
    inference_url: InferenceUrl = None,
    api_key_env: KeyVariable = None,
    until_stdin_closes: UntilStdinCloses = False,
    ready_file: ReadyFile = None,
) -> None:
    """Serve chat, files and fine-tuning on the OpenAI wire.

    The models really train.
    Prints the base_url once it answers. Ctrl-C ends it; the next start continues a job under way.
    """
    from rmft_api.local_server import engines
    from rmft_api.local_server.server import Settings
    from rmft_api.local_server.server import serve as serve_until_ended

    given = [*(set_ or ()), *([f"inference_url={inference_url}"] if inference_url else ())]
    settings = Settings(
        state=state,
        host=host,
        port=port,
        engine_names=engine_names(engine or engines.DEFAULT, checkpoint, given),
        api_key=_key(api_key_env),
    )
    serve_until_ended(settings, ready_file=ready_file, until_stdin_closes=until_stdin_closes)


def engine_names(engines: Sequence[str], checkpoint: str | None, given: list[str]) -> Sequence[str]:
    """The engines, hf with its settings. Raises ConfigError where one misses the other."""
    if "hf" not in engines:
        if checkpoint or given:
            raise ConfigError("--checkpoint, --set and --inference-url belong to --engine hf")
        return engines
    if checkpoint is None:
        raise ConfigError(
            "--engine hf needs a model: --checkpoint FOLDER, or --checkpoint ID of one at the hub"
        )
    from rmft_api.open_models.settings import assemble

    spec = assemble(checkpoint, given).spec
    return [spec if name == "hf" else name for name in engines]


def _key(name: str | None) -> str | None:
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise ConfigError(f"--api-key-env names {name!r}, which is not set in the environment")
    return key
