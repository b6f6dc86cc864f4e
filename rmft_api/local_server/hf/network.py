"""The base weights in memory, and the adapters over them."""

import threading
import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import torch

from rmft_api.local_server.engine import EngineError, Prompt, SampledText
from rmft_api.local_server.hf import adapters
from rmft_api.local_server.hf.chats import ChatTokenizer
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.local_server.hf.memory import MIB, is_out_of_memory
from rmft_api.local_server.hf.merged_weights import MergedWeights
from rmft_api.local_server.hf.packages import package
from rmft_api.local_server.hf.prefixes import PrefixStore
from rmft_api.local_server.hf.products import multiply_fast
from rmft_api.local_server.hf.sampling import Sampler
from rmft_api.local_server.hf.threads import threads_for


def device_of(wanted: str) -> str:
    """The device to hold weights on."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def dtype_of(wanted: str, device: str) -> torch.dtype:
    """The type of base weights."""
    if wanted == "auto":
        wanted = "float32" if device.startswith("cpu") else "bfloat16"
    return {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }[wanted]


def load_network(
    checkpoint: CheckpointFolder, device: str, held_on: str | None = None, threads: int = 0
) -> Any:
    """The base weights, of the type that `device` computes with, held there or on `held_on`.

    `threads`: as chosen before; 0 chooses now.

    Raises EngineError where they are missing, damaged or too large.
    """
    transformers = package("transformers")
    transformers.utils.logging.disable_progress_bar()
    settings = checkpoint.settings
    try:
        network: Any = transformers.AutoModelForCausalLM.from_pretrained(
            str(checkpoint.folder),
            dtype=dtype_of(settings.dtype, device),
            local_files_only=True,
        )
        network = network.to(held_on or device)
    except Exception as error:
        if is_out_of_memory(error):
            raise EngineError(
                "out_of_memory",
                f"the base weights do not fit into the memory of {device!r}: {_line(error)}; serve "
                "a smaller checkpoint, or set dtype=bfloat16",
            ) from error
        raise EngineError(
            "model_unreadable",
            f"the weights of {checkpoint.folder.name!r} cannot be loaded: {_line(error)}",
        ) from error
    torch.set_num_threads(threads or threads_for(settings.threads, network))
    multiply_fast(network)
    return network


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _sampled(checkpoint: CheckpointFolder) -> CheckpointFolder:
    """The checkpoint as its weights are held for answers."""
    settings = checkpoint.settings
    if settings.sampling_dtype == "same" or not device_of(settings.device).startswith("cpu"):
        return checkpoint
    return CheckpointFolder(msgspec.structs.replace(settings, dtype=settings.sampling_dtype))


class BaseNetwork:
    """One set of base weights; `adapter` puts a fine-tune over them, `complete` answers."""

    def __init__(self, checkpoint: CheckpointFolder, chats: ChatTokenizer) -> None:
        self._checkpoint = checkpoint
        self.rows = checkpoint.settings.rows
        """Answers sampled together at most."""
        self._lock = threading.RLock()
        network = load_network(_sampled(checkpoint), device_of(checkpoint.settings.device)).eval()
        store = PrefixStore(checkpoint.settings.prefix_mb * MIB)
        self._network: Any = network
        self._sampler = Sampler(network, chats, store, checkpoint.settings.rows, checkpoint.window)
        self._adapted: Any = None
        """The same network as PEFT holds it, once there is an adapter."""
        self._merged = MergedWeights(checkpoint.settings.merged_mb)
        self._numbers = count(1)
        self._unused: list[str] = []

    def adapter(self, path: Path) -> str:
        """Load an adapter; its name. Raises EngineError."""
        peft = package("peft")
        loaded = adapters.load(path, self._checkpoint.fingerprint)
        name = f"adapter{next(self._numbers)}"
        config = peft.LoraConfig(**loaded.config)
        config.inference_mode = True
        with self._lock:
            self._merged.drop()
            if self._adapted is None:
                self._adapted = peft.PeftModel(self._network, config, adapter_name=name)
            else:
                self._adapted.add_adapter(name, config)
            peft.set_peft_model_state_dict(self._adapted, dict(loaded.tensors), adapter_name=name)
            multiply_fast(self._adapted)
        return name

    def forget(self, name: str) -> None:
        """Free an adapter's weights when nothing uses them."""
        self._unused.append(name)

    def complete(self, name: str | None, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Answer prompts by the base (None) or an adapter. Raises ExampleError, EngineError."""
        with self._lock, self._worn(name):
            try:
                self._merged.answer(self._network, name or "")
                return self._sampler.complete(name or "", prompts)
            except Exception as error:
                if len(prompts) > 1 or not is_out_of_memory(error):
                    raise  # the caller halves the batch
                raise EngineError(
                    "out_of_memory",
                    "one answer to this chat does not fit into memory; set a smaller max_length, "
                    "or prefix_mb=0",
                ) from error

    @contextmanager
    def _worn(self, name: str | None) -> Generator[None]:
        """One adapter at work, or none."""
        while self._unused:
            self._adapted.delete_adapter(self._unused.pop())
        if self._adapted is None:
            yield
        elif name is None:
            with self._adapted.disable_adapter():
                yield
        else:
            self._adapted.set_adapter(name, inference_mode=True)
            yield


class HfModel:
    """The base or one fine-tune of it; its adapter leaves memory with it."""

    def __init__(self, base: BaseNetwork, weights: Path | None) -> None:
        self._base = base
        self.rows = base.rows
        self._name = None if weights is None else base.adapter(weights)
        if self._name is not None:
            weakref.finalize(self, base.forget, self._name)

    def complete(self, prompts: Sequence[Prompt]) -> list[SampledText]:
        """Sample every prompt, in order."""
        return self._base.complete(self._name, prompts)
