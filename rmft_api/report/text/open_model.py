"""What a plan says of an open model, as people read it."""

from collections.abc import Iterator

from rmft_api.open_models.memory import GIB, RESERVE, RESERVE_SHARE, Memory
from rmft_api.open_models.speed import BANDWIDTH_SHARE, COMPUTE_SHARE, LAYER_S
from rmft_api.planning.open_model import OpenModel
from rmft_api.report.text.columns import paragraph, table

_TYPES = {2: "half precision", 4: "float32"}


def open_plan(mine: OpenModel) -> str:
    """Its shape, its memory, its speed."""
    lines = [paragraph(line) for line in _shape(mine)]
    ends = [paragraph(line) for line in (*_memory(mine), *_time(mine))]
    return "\n".join(["", *lines, "", _table(mine), "", *ends])


def _shape(mine: OpenModel) -> Iterator[str]:
    share = mine.trained / mine.parameters
    yield f"{mine.checkpoint} ({mine.family}): {mine.parameters:,} parameters ({mine.source})"
    yield (
        f"adapter: LoRA of rank {mine.lora_rank} on {mine.lora_targets}, {mine.trained:,} "
        f"parameters are trained ({share:.2%}), {mine.adapter_bytes / 1e6:,.0f} MB a fine-tune"
    )


def _table(mine: OpenModel) -> str:
    names = dict.fromkeys(part.name for part in (*mine.serving.parts, *mine.training.parts))
    columns = [{part.name: part.bytes for part in one.parts} for one in _both(mine)]
    rows = [(name, *(_gib(column.get(name)) for column in columns)) for name in names]
    last = rows.pop([row[0] for row in rows].index("reserve"))
    total = ("total", *(_gib(one.total) for one in _both(mine)))
    return table([("memory, GiB", "serving", "training"), *rows, last, total], words=1)


def _both(mine: OpenModel) -> tuple[Memory, Memory]:
    return mine.serving, mine.training


def _gib(size: int | None) -> str:
    return "" if size is None else f"{size / GIB:.2f}"


def _memory(mine: OpenModel) -> Iterator[str]:
    again = "made again in" if mine.gradient_checkpointing else "kept for"
    yield (
        f"memory: {mine.rows} answers at once in chats of {mine.length} tokens; training on "
        f"{mine.micro_batch} of them at once, activations {again} the backward pass; base weights "
        f"in {_TYPES[mine.width]}; the reserve is assumed ({RESERVE / GIB:g} GiB and "
        f"{RESERVE_SHARE:.0%})"
    )
    holds = "no card that is known here holds both" if mine.needs is None else f"e.g. {mine.needs}"
    yield (
        f"the server keeps its weights while a job trains: {mine.total / GIB:.1f} GiB together, "
        f"{holds}"
    )


def _time(mine: OpenModel) -> Iterator[str]:
    if mine.speed is None:
        yield (
            "time: unknown; name a card in model.accelerator for an estimate, or let "
            "`rmft-api plan --calibrate` measure this machine"
        )
        return
    if (measured := mine.calibration) is not None:
        yield (
            f"time: measured on this machine on {measured.measured}: {mine.speed.reading:,.0f} "
            f"tokens/s read, {mine.speed.generation:,.0f} written by {measured.rows} answers "
            f"together, single measurements up to {measured.error:.0%} off; training was not "
            f"measured: {mine.speed.training:,.0f} tokens/s by its operations, which may be half "
            "or twice that"
        )
        return
    yield (
        f"time: an estimate for {mine.accelerator}, nothing was measured: "
        f"{mine.speed.training:,.0f} tokens/s trained, {mine.speed.reading:,.0f} read, "
        f"{mine.speed.generation:,.0f} written by all answers together (docs/guide.md says how; "
        f"assumed: {COMPUTE_SHARE:.0%} of its operations, {BANDWIDTH_SHARE:.0%} of its bandwidth, "
        f"{LAYER_S * 1e3:g} ms a layer and step)"
    )
