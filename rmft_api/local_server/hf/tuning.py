"""LoRA fine-tuning by TRL: supervised on the answers that count, or by preferences (DPO).

TRL is handed tokens and labels, not chats, so that exactly the answers of weight 1 are learned,
each after the very tokens that the model is given when it is asked.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rmft_api.local_server.engine import TrainingStep
from rmft_api.local_server.hf import adapters, packed_rows, threads, training_checkpoints
from rmft_api.local_server.hf.adapter_recipe import AdapterRecipe
from rmft_api.local_server.hf.adapters import Adapter
from rmft_api.local_server.hf.chats import ChatTokenizer
from rmft_api.local_server.hf.checkpoint import CheckpointFolder
from rmft_api.local_server.hf.network import device_of, load_network
from rmft_api.local_server.hf.packages import package
from rmft_api.open_models.settings import HfSettings

peft, trl = package("peft"), package("trl")

Places = Callable[[int], Path]
Report = Callable[[TrainingStep], None]


class _PreparedDpoTrainer(trl.DPOTrainer):
    """TRL's, over preferences that are tokens already."""

    def _prepare_dataset(self, dataset: object, *_: object) -> object:
        return dataset


class Tuning(NamedTuple):
    """One training on one checkpoint."""

    checkpoint: CheckpointFolder
    chats: ChatTokenizer
    recipe: AdapterRecipe
    scratch: Path
    """What a killed process left there is taken up."""

    def run(self, place: Places, report: Report) -> None:
        """Train from the start, or from what a killed process saved. Saves after every epoch.

        All processes that joined run this; the first of them saves.
        """
        after = training_checkpoints.last_step(self.scratch)
        trainer = self._trainer()
        saver = _Saver(trainer, self, place, report)
        trainer.add_callback(saver)
        resumed = str(training_checkpoints.folder(self.scratch, after)) if after else None
        trainer.train(resume_from_checkpoint=resumed)
        saver.save_last()

    def _trainer(self) -> Any:
        torch.manual_seed(self.recipe.seed)  # pyright: ignore[reportUnknownMemberType]
        settings = self.checkpoint.settings
        several = world_size() > 1  # then their trainer says what lies where
        device = device_of(settings.device)
        base = load_network(
            self.checkpoint, device, "cpu" if several else device, threads.kept(self.scratch)
        )
        threads.keep(self.scratch, torch.get_num_threads())
        network = self._adapted(base)
        options, beta = _options(settings, self.recipe, self.scratch), self.recipe.beta
        sft = beta is None
        config = trl.SFTConfig(**options) if sft else trl.DPOConfig(beta=beta, **options)
        is_packed = sft and not several and device == "cpu" and self._packs(network, config)
        kind = trl.SFTTrainer if sft else _PreparedDpoTrainer
        data = package("datasets").Dataset.from_list(list(self.recipe.rows))
        trainer: Any = (packed_rows.PackedTrainer if is_packed else kind)(
            model=network,
            args=config,
            train_dataset=data,
            processing_class=self.chats.tokenizer,
            **({"data_collator": packed_rows.collate} if is_packed else {}),
        )
        trainer.remove_callback(package("transformers").PrinterCallback)
        return trainer

    def _packs(self, network: Any, config: Any) -> bool:
        """Whether batches are packed: where that is shorter, and the network reads them alike."""
        rows = self.recipe.rows
        longest = sorted(rows, key=lambda row: len(row["input_ids"]))
        batch = longest[-config.per_device_train_batch_size :]
        return (
            len(batch) > 1
            and packed_rows.packed_length(batch) <= packed_rows.LONGEST
            and packed_rows.reads_packed_rows(network, batch)
        )

    def _adapted(self, network: Any) -> Any:
        """The base with a fresh adapter, or with that of the model to start from."""
        if self.recipe.start is None:
            return peft.get_peft_model(network, lora(self.checkpoint.settings))
        start = adapters.load(self.recipe.start, self.checkpoint.fingerprint)
        adapted = peft.PeftModel(
            network, peft.LoraConfig(**{**start.config, "inference_mode": False})
        )
        peft.set_peft_model_state_dict(adapted, dict(start.tensors))
        return adapted


def lora(settings: HfSettings) -> Any:
    """What a fresh adapter is like."""
    targets = settings.lora_targets
    return peft.LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        target_modules=targets if targets == "all-linear" else targets.split(),
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )


def _options(settings: HfSettings, recipe: AdapterRecipe, scratch: Path) -> dict[str, Any]:
    """TRL's settings, those of both methods."""
    numbers = recipe.hyperparameters
    on_cpu = device_of(settings.device).startswith("cpu")
    micro, accumulated = portions(numbers.batch_size or 1, settings.micro_batch, world_size())
    return {
        "output_dir": str(scratch),
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": accumulated,
        "num_train_epochs": numbers.n_epochs,
        "learning_rate": settings.learning_rate * (numbers.learning_rate_multiplier or 1.0),
        "lr_scheduler_type": "cosine",
        "warmup_steps": settings.warmup_ratio,  # below 1: a share of all
        "logging_steps": 1,
        "save_strategy": "no",  # `_Saver` says when
        "save_total_limit": training_checkpoints.KEPT,
        "seed": recipe.seed,
        "max_length": None,  # too long a chat was refused before
        "gradient_checkpointing": settings.gradient_checkpointing,
        "bf16": not on_cpu,
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "report_to": "none",
        "disable_tqdm": True,
    }


def portions(batch: int, micro: int, processes: int) -> tuple[int, int]:
    """Examples in one forward pass of one process, and passes that make exactly one batch.

    A batch that the processes cannot share evenly is rounded up to one that they can.
    """
    share = -(-batch // processes)
    fitting = max(size for size in range(1, min(micro, share) + 1) if share % size == 0)
    return fitting, share // fitting


def world_size() -> int:
    """Processes that train together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


class _Saver(package("transformers").TrainerCallback):
    """Reports every step; saves at the end of every epoch, and in between when it is time."""

    def __init__(self, trainer: Any, tuning: Tuning, place: Places, report: Report) -> None:
        self._trainer = trainer
        self._tuning = tuning
        self._place = place
        self._report = report
        self._every_s = tuning.checkpoint.settings.save_every_s
        self._saved_at = time.monotonic()
        self._saved_step = 0
        self._loss = (0.0, 0.0)

    def on_step_end(self, args: object, state: Any, control: Any, **_: object) -> None:
        """Decide whether to save; all processes alike."""
        due = time.monotonic() - self._saved_at >= self._every_s
        control.should_save = _agreed(due) or _epoch_ends(state)

    def on_log(
        self,
        args: object,
        state: Any,
        control: Any,
        logs: dict[str, float] | None = None,
        **_: object,
    ) -> None:
        """Report a step."""
        if logs is None or "loss" not in logs:
            return  # the summary at the end
        accuracy = logs.get("mean_token_accuracy", 0.0)
        epoch = int((state.epoch or 0.0) + 1e-6)
        step = TrainingStep(state.global_step, state.max_steps, logs["loss"], accuracy, epoch)
        self._report(step)

    def on_save(self, args: object, state: Any, control: Any, **_: object) -> None:
        """TRL has saved what resuming needs; the end of an epoch is also a model."""
        if _epoch_ends(state) and state.global_step < state.max_steps:
            self._save(state.global_step)
        if world_size() > 1:
            self._trainer.accelerator.wait_for_everyone()  # each has a part in what is saved
        if state.is_world_process_zero:
            training_checkpoints.mark_whole(
                training_checkpoints.folder(self._tuning.scratch, state.global_step)
            )
        self._saved_at = time.monotonic()

    def save_last(self) -> None:
        """The model that the job is about."""
        self._save(self._trainer.state.global_step)

    def _save(self, step: int) -> None:
        accelerator = self._trainer.accelerator
        network = accelerator.unwrap_model(self._trainer.model)
        whole = accelerator.get_state_dict(self._trainer.model) if world_size() > 1 else None
        if not self._trainer.state.is_world_process_zero:
            return
        tensors = peft.get_peft_model_state_dict(network, state_dict=whole, adapter_name="default")
        config = _plain(network.peft_config["default"])
        adapter = Adapter(tensors, config, self._tuning.checkpoint.fingerprint)
        adapters.save(adapter, self._place(step))


def _epoch_ends(state: Any) -> bool:
    epoch = state.epoch or 0.0
    return abs(epoch - round(epoch)) < 1e-6 or state.global_step == state.max_steps


def _agreed(due: bool) -> bool:
    """The first process's word, for all."""
    if world_size() == 1:
        return due
    word = [due]
    torch.distributed.broadcast_object_list(word)
    return word[0]


def _plain(config: Any) -> dict[str, Any]:
    """PEFT's configuration as JSON has it; where the base lies is no part of it."""
    shown = {
        name: getattr(value, "value", value)
        for name, value in config.to_dict().items()
        if value is not None and name != "base_model_name_or_path"
    }
    targets: Any = shown["target_modules"]
    return {**shown, "target_modules": targets if isinstance(targets, str) else sorted(targets)}
