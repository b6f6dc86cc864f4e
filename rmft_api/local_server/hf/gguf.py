"""A GGUF file as a folder in Hugging Face's format: weights, tokenizer, template and end tokens.

transformers and the `gguf` package read the file; all that the folder says comes from it. Weights
are dequantised once, to the very numbers that the file stands for.
"""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple, cast

from rmft_api.core.errors import ConfigError, StorageError
from rmft_api.core.staging import FULL, MB, require_room, staged
from rmft_api.local_server.hf.memory import is_out_of_memory
from rmft_api.local_server.hf.packages import package
from rmft_api.open_models import gguf_files

SOURCE = "source.json"
"""In the folder: the file that it was made of. It is there only in one that is whole."""
SMALL = 10**9
"""Parameters up to which weights are kept in float32, which holds every dequantised number."""
ALONE_DIGITS = frozenset({"codeshell", "command-r", "refact", "smollm", "starcoder"})
"""Of `tokenizer.ggml.pre`: vocabularies that take each digit by itself (llama.cpp's list)."""
KNOWN_SPLITS = frozenset({"default", "gpt-2", "jais", "mpt", "olmo", "phi-2", "roberta-bpe"})
"""Those that transformers' own reading of a GPT-2 vocabulary fits."""

Report = Callable[[str], None]


class Facts(NamedTuple):
    """What a file says of itself."""

    architecture: str
    license: str | None
    parameters: int
    split: str | None
    """How text is split before its merges: `tokenizer.ggml.pre`."""
    ends: list[int]
    """Tokens that end a text or a turn."""


def facts(file: Path) -> Facts:
    """Read the header. Raises ConfigError for a damaged file, or one that is no chat model's."""
    reader = _reader(file)

    def field(key: str) -> Any:
        field = reader.fields.get(key)
        return None if field is None else field.contents()

    architecture = str(field("general.architecture"))
    if not field("tokenizer.chat_template"):
        raise ConfigError(
            f"{file.name!r} has no chat template, so it is a base model and no chat model; use its "
            "instruction-tuned sibling"
        )
    named = (field(f"tokenizer.ggml.{kind}_token_id") for kind in ("eos", "eot"))
    ends = list(dict.fromkeys(int(one) for one in named if one is not None))
    parameters = sum(int(tensor.n_elements) for tensor in reader.tensors)
    split = field("tokenizer.ggml.pre") if field("tokenizer.ggml.model") == "gpt2" else None
    return Facts(architecture, field("general.license"), parameters, split, ends)


def _reader(file: Path) -> Any:
    gguf = package("gguf")
    try:
        return gguf.GGUFReader(file)
    except PermissionError as error:
        raise ConfigError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    except Exception as error:  # a file that ends early raises whatever its parser does
        raise ConfigError(
            f"{file.name!r} is not a complete GGUF file ({_line(error)}): truncated or damaged; "
            "fetch it again"
        ) from error


def checkpoint_of(file: Path, report: Report) -> Path:
    """The folder of a GGUF file, made at first use. Raises ConfigError, StorageError."""
    folder = gguf_files.converted(file)
    if is_made_of(folder, file):
        return folder
    if folder.exists() and not (folder / SOURCE).is_file():
        raise ConfigError(
            f"{file.name!r} would be converted to {str(folder)!r}, which is something else; move "
            "one of them"
        )
    known = facts(file)
    if gguf_files.needs_acceptance(known.license):
        raise ConfigError(
            f"{file.name!r} is under the licence {known.license!r}, which must be accepted: read "
            f"it, then run `rmft-api get-model {file} --accept-license`"
        )
    convert(file, folder, known, report)
    return folder


def is_made_of(folder: Path, file: Path) -> bool:
    """Whether a folder is whole and was made of this file as it is now."""
    try:
        shown = json.loads((folder / SOURCE).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(shown, dict) and cast("dict[str, Any]", shown).get("file") == _stamp(file)


def convert(
    file: Path,
    folder: Path,
    known: Facts,
    report: Report,
    beside: Callable[[Path], dict[str, object]] = lambda draft: {},
) -> None:
    """Write the folder whole or not at all. Raises ConfigError, StorageError.

    `beside` writes more files into it and says what else it comes from.
    """
    size = 4 if known.parameters <= SMALL else 2
    require_room(folder, known.parameters * size // MB + 20)
    report(f"converting {file.name}: {known.parameters / MB:.0f} M parameters, once")
    if known.split is not None and known.split not in ALONE_DIGITS | KNOWN_SPLITS | _splits():
        report(
            f"how {known.split!r} splits text is not known here: some words may split differently"
        )
    with staged(folder) as draft:
        _write(file, draft, known, "float32" if size == 4 else "bfloat16")
        source = {"file": _stamp(file), **beside(draft)}
        (draft / SOURCE).write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")
        for path in draft.iterdir():
            path.chmod(0o644)


def _write(file: Path, draft: Path, known: Facts, dtype: str) -> None:
    transformers = package("transformers")
    transformers.utils.logging.disable_progress_bar()
    _config(transformers, file, known)
    try:
        with redirect_stderr(io.StringIO()):  # a bar of tqdm's
            tokenizer, network = _loaded(transformers, file, dtype)
    except Exception as error:
        raise _unreadable(file, known, error) from error
    _split_digits(tokenizer, known)
    _forget_quantisation(network)
    if known.ends:
        network.generation_config.eos_token_id = known.ends
    try:
        network.save_pretrained(str(draft))
        tokenizer.save_pretrained(str(draft))
    except OSError:
        raise
    except Exception as error:  # safetensors has an error of its own for a full disk
        if "os error" in str(error).lower():
            raise OSError(min(FULL), _line(error)) from error
        raise


def _loaded(transformers: Any, file: Path, dtype: str) -> tuple[Any, Any]:
    named = {"gguf_file": file.name, "local_files_only": True}
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(file.parent), **named)
    network = transformers.AutoModelForCausalLM.from_pretrained(
        str(file.parent), dtype=getattr(package("torch"), dtype), **named
    )
    return tokenizer, network


def _config(transformers: Any, file: Path, known: Facts) -> None:
    """Raises ConfigError for an architecture that transformers does not know."""
    try:
        transformers.AutoConfig.from_pretrained(
            str(file.parent), gguf_file=file.name, local_files_only=True
        )
    except Exception as error:  # ValueError, KeyError, NotImplementedError: by version
        raise ConfigError(
            f"transformers {transformers.__version__} does not read GGUF files of the architecture "
            f"{known.architecture!r}; convert it to Hugging Face's format elsewhere, or use "
            "another model"
        ) from error


def _unreadable(file: Path, known: Facts, error: Exception) -> Exception:
    if is_out_of_memory(error):
        return StorageError(
            f"{file.name!r} does not fit into memory while it is converted "
            f"({known.parameters * 4 // MB:,} MB); convert it on a larger machine"
        )
    return ConfigError(
        f"transformers cannot read {file.name!r} (architecture {known.architecture!r}): "
        f"{_line(error)}"
    )


def _split_digits(tokenizer: Any, known: Facts) -> None:
    """Transformers reads every GPT-2 vocabulary the same way; some take digits one by one."""
    if known.split not in ALONE_DIGITS:
        return
    parts = package("tokenizers").pre_tokenizers
    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = parts.Sequence([parts.Digits(individual_digits=True), _bytes(parts)])


def _bytes(parts: Any) -> Any:
    return parts.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)


def _splits() -> frozenset[str]:
    """What transformers splits by itself."""
    try:
        mapping = package("transformers.integrations.gguf.gguf_tokenizer_mapping")
        return frozenset(mapping.GGUF_PRE_TOKENIZER_SPLITS)
    except (ImportError, AttributeError):  # a version that keeps them elsewhere
        return frozenset()


def _forget_quantisation(network: Any) -> None:
    """The weights are plain numbers now; `save_pretrained` refuses a network that denies it."""
    for name in ("hf_quantizer", "is_quantized", "quantization_method"):
        if hasattr(network, name):
            delattr(network, name)
    if hasattr(network.config, "quantization_config"):
        del network.config.quantization_config


def _stamp(file: Path) -> dict[str, object]:
    status = file.stat()
    return {"name": file.name, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
