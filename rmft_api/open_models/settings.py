"""What may be set about an open model; travels as JSON from the command line to the trainer."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rmft_api.core.errors import ConfigError
from rmft_api.core.paths import GGUF

Count = Annotated[int, Meta(ge=1)]


class HfSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One base model and how it is held, sampled and trained."""

    checkpoint: str
    """A folder in Hugging Face's format, a GGUF file or a folder with one, or an id at the hub."""
    name: str = ""
    """The model's id on the wire; empty: the hub id, or the folder's name."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the base weights. auto: bfloat16 on an accelerator, float32 on a CPU."""
    sampling_dtype: Literal["same", "bfloat16"] = "same"
    """Of the weights that answer chats, on a CPU. bfloat16 is faster where the CPU has
    instructions for it, and changes the odds a little (docs/performance.md)."""
    device: str = "auto"
    """auto: an accelerator where there is one, else the CPU."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """CPU threads; 0: one for a model under 50 M parameters, else as many as a short trial at the
    start finds faster (the server's log says how many)."""
    thinking: bool = False
    """Handed to chat templates that know `enable_thinking`."""
    rows: Count = 64
    """Answers sampled together at most."""
    prefix_mb: Annotated[int, Meta(ge=0)] = 512
    """Megabytes of keys and values of earlier prompts kept for reuse; 0 keeps none."""
    merged_mb: Annotated[int, Meta(ge=0)] = 1024
    """On a CPU in float32: the weights of the model that answers are held once more, its adapter
    added and in the order of fast products, where they take no more megabytes; 0 never."""
    max_length: Count = 4096
    """Tokens of a chat and its answer; a shorter context of the model goes before it."""
    lora_rank: Count = 16
    lora_alpha: Count = 32
    lora_targets: str = "all-linear"
    """Modules that get an adapter: all-linear, or names separated by spaces."""
    learning_rate: Annotated[float, Meta(gt=0)] = 2e-4
    """At learning_rate_multiplier 1."""
    warmup_ratio: Annotated[float, Meta(ge=0, lt=1)] = 0.03
    """Share of a training's steps in which the learning rate rises to its full value. A job that
    continues from a fine-tune has a fresh optimiser, which a short rise can disturb."""
    n_epochs: Count = 3
    """Where the job says auto."""
    batch_size: Count = 16
    """Where the job says auto."""
    micro_batch: Count = 4
    """Examples in one forward pass; a batch is made of several where it is larger."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: a third more time for far less memory."""
    save_every_s: Annotated[float, Meta(ge=0)] = 120.0
    """Seconds of training that a crash may cost at most, besides the end of every epoch."""
    launch: str = ""
    """Command that starts several training processes, as `accelerate launch --num_processes 2`."""
    adapters_mb: Annotated[int, Meta(ge=0)] = 50_000
    """Megabytes that all adapters may take on the disk; a job that would pass them is refused, and
    nothing is removed by itself. 0: no bound."""
    inference_url: str = ""
    """Base URL (`http://HOST:PORT/v1`) of a server that answers chats in this one's place."""
    inference_model: str = ""
    """The base model's id at that server; empty: the first that it lists."""

    @property
    def model_id(self) -> str:
        """The base model's id on the wire."""
        folder = Path(self.checkpoint)
        if self.name or not folder.exists():
            return self.name or self.checkpoint
        return folder.stem if folder.suffix == GGUF else folder.resolve().name

    @property
    def spec(self) -> str:
        """The engine's name: all of the settings."""
        return f"hf:{msgspec.json.encode(self).decode()}"


def read(text: str) -> HfSettings:
    """Settings from JSON. Raises ConfigError."""
    try:
        return msgspec.json.decode(text, type=HfSettings)
    except msgspec.DecodeError as error:
        raise ConfigError(f"engine hf: {error}") from error


def assemble(checkpoint: str, pairs: Sequence[str]) -> HfSettings:
    """Settings from `key=value` words. Raises ConfigError that lists what can be set."""
    given: dict[str, object] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if not value:
            raise _unknown(pair)
        given[key] = value
    return of_run(checkpoint, given)


def of_run(checkpoint: str, given: Mapping[str, object]) -> HfSettings:
    """Settings by name. Raises ConfigError that lists what can be set."""
    for key in given:
        if key not in HfSettings.__struct_fields__:
            raise _unknown(key)
    given = {"checkpoint": checkpoint, **given}
    try:
        settings = msgspec.convert(given, HfSettings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"engine hf: {error}") from error
    for key, value in msgspec.structs.asdict(settings).items():
        if isinstance(value, float) and not math.isfinite(value):  # JSON has no such number
            raise ConfigError(f"engine hf: {key}={value} is not a finite number")
    return settings


def _unknown(word: str) -> ConfigError:
    known = ", ".join(HfSettings.__struct_fields__)
    return ConfigError(f"engine hf has no setting {word!r}; KEY=VALUE of: {known}")
