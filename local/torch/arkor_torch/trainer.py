"""A run in one process, which may be one of several. TRL's `SFTTrainer` does the training. This module
feeds it batches that the core has decided, and reports in the format of docs/engine-protocol.md."""

from __future__ import annotations

import gc
import json
import math
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from transformers.modeling_layers import GradientCheckpointingLayer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling, SFTTrainer

from arkor_torch import devices, model
from arkor_torch.protocol import Cancelled, Diverged, Message, Plan, Refused, Send, Train
from arkor_torch.rows import Order, Parts, Rows, Share, read_rows

if TYPE_CHECKING:
    from peft import PeftModel

STATE = "arkor_state.json"

# How many held-out rows a process evaluates at a time.
EVAL_PART = 8

# How many names of trained modules are reported. Several processes write to one pipe, and only a line
# that fits into the pipe's buffer can't be torn.
MOST_TARGETS = 32


def config(
    plan: Plan, scratch: Path, device: torch.device, *, parts: int, recompute: bool, has_experts: bool
) -> SFTConfig:
    """Maps a plan to TRL, and pins every TRL default that would change the run."""
    return SFTConfig(
        output_dir=str(scratch),
        max_steps=plan.total_steps,
        # `Parts` decides how a batch is split.
        per_device_train_batch_size=1,
        gradient_accumulation_steps=parts,
        learning_rate=plan.learning_rate,
        lr_scheduler_type=plan.schedule,
        warmup_steps=plan.warmup_steps,
        weight_decay=plan.weight_decay,
        optim="adamw_torch",
        max_grad_norm=1.0,
        seed=plan.seed,
        bf16=devices.dtype(device) is torch.bfloat16,
        use_cpu=device.type == "cpu",
        gradient_checkpointing=recompute,
        average_tokens_across_devices=True,
        router_aux_loss_coef=0.0,
        # The rows are already encoded and cut off.
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        packing=False,
        # `Reports` logs, measures and saves.
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=device.type == "cuda",
        # Only the adapter is trained. Text reaches all of it, except for experts that no token chooses.
        ddp_find_unused_parameters=has_experts,
    )


def no_tokenizer() -> PreTrainedTokenizerFast:
    """A dummy tokenizer. `SFTTrainer` insists on one, even for rows of token ids."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({"[PAD]": 0}, "[PAD]")), pad_token="[PAD]", eos_token="[PAD]"
    )


class Run(SFTTrainer):
    """TRL's training loop with our own batches, losses and checkpoints."""

    def __init__(
        self, train: Train, share: Share, device: torch.device, on_tensor: model.OnTensor, *, recompute: bool
    ) -> None:
        self.task = train
        self._rows, self._measured = read_rows(train.tokens)
        self.order = Order.read(train.order)
        self.share = share
        self.train_rows = self._rows.count
        batches = [self.order.batch(step) for step in range(train.plan.total_steps)]
        self._parts = Parts(batches, share, self._rows.filler)
        plan = train.plan
        dtype = devices.dtype(device)
        base = model.load_base(train.base, device, dtype, on_tensor, in_4bit=plan.load_in_4bit)
        self.base_class = type(base).__name__
        self.targets = model.targets(base)
        self.step_loss = torch.zeros((), device=device)
        super().__init__(
            model=base,
            args=config(
                plan,
                train.scratch,
                device,
                parts=self._parts.per_batch,
                recompute=recompute,
                has_experts=any(".experts." in name for name in self.targets),
            ),
            train_dataset=self._rows.dataset,
            data_collator=DataCollatorForLanguageModeling(pad_token_id=0),
            processing_class=no_tokenizer(),
            peft_config=model.lora(base, plan.lora_r, plan.lora_alpha),
        )
        if self.accelerator.num_processes != share.processes:
            count = self.accelerator.num_processes
            raise RuntimeError(f"accelerate sees {count} processes, and {share.processes} train")
        self.adapted = cast("PeftModel", self.model)
        for value in self.adapted.parameters():
            if value.requires_grad:
                # TRL trains the adapter of a quantised base in bfloat16, where small updates are lost.
                value.data = value.data.float()
        self.adapted.peft_config["default"].base_model_name_or_path = train.base_name
        self.remove_callback(PrinterCallback)
        # The loss is a mean over the tokens of a whole batch, in every architecture.
        self.model_accepts_loss_kwargs = True

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Yields the batches that the core has decided. accelerate neither shuffles them nor distributes
        them to processes."""
        return self._loader(self._rows, self._parts)

    def _loader(self, rows: Rows, parts: Parts) -> DataLoader[Any]:
        return DataLoader(rows.dataset, batch_sampler=parts, collate_fn=self.data_collator)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        self.step_loss += loss
        return loss

    def check_memory(self) -> None:
        """Raises `OutOfMemoryError` if a batch of the longest rows needs too much memory. In the middle
        of a run, it would be too late to split batches into smaller parts."""
        longest = self._rows.lengths.argsort()[::-1][: self.share.part].tolist()
        if self.args.gradient_checkpointing:
            self.adapted.gradient_checkpointing_enable()
        inputs = self._prepare_inputs(self.data_collator([self._rows.dataset[row] for row in longest]))
        self.adapted.train()
        with self.compute_loss_context_manager():
            loss = self.compute_loss(self.adapted, inputs, num_items_in_batch=torch.tensor(1))
        loss.backward()
        self.adapted.zero_grad(set_to_none=True)
        self._metrics["train"].clear()

    def trained_tokens(self) -> int:
        """The tokens of all rows that were trained since this process started or resumed the run."""
        lengths = self._rows.lengths[self.order.rows]
        begun = self.order.done(self._initial_global_step)
        return int(lengths[begun : self.order.done(self.state.global_step)].sum())

    def has_finite_adapter(self) -> bool:
        trained = [value for value in self.adapted.parameters() if value.requires_grad]
        return all(bool(value.isfinite().all()) for value in trained)

    def taken_loss(self) -> float:
        """The mean loss per trained token in the last step, over all processes. Resets it."""
        loss = self.accelerator.reduce(self.step_loss, "mean").item()
        self.step_loss.zero_()
        return loss

    def measured_loss(self) -> float:
        """The mean loss per trained token on the eval rows."""
        share = Share(self.share.rank, self.share.processes, min(EVAL_PART, self.share.part))
        parts = Parts([list(range(self._measured.count))], share, self._measured.filler)
        sums = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        self.adapted.eval()
        with torch.no_grad():
            for inputs in self._loader(self._measured, parts):
                ready = self._prepare_inputs(inputs)
                tokens = ready["labels"][:, 1:].ne(-100).sum()
                # With a count of 1, this is the sum over this process's tokens, times the number of
                # processes.
                loss = self.compute_loss(self.adapted, ready, num_items_in_batch=torch.ones_like(tokens))
                sums += torch.stack((loss / self.share.processes, tokens)).to(sums)
        self.adapted.train()
        total, count = self.accelerator.reduce(sums, "sum").tolist()
        return total / count if count else math.nan

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Saves the adapter only: no pickled arguments, no tokenizer, no model card."""
        # No layer of the base changes. Checking that would require a request to the Hub.
        folder = output_dir or str(self.args.output_dir)
        self.adapted.save_pretrained(folder, state_dict=state_dict, save_embedding_layers=False)
        (Path(folder) / "README.md").unlink(missing_ok=True)

    def create_model_card(self, *_args: Any, **_kwargs: Any) -> None:
        """Creates no model card, because it would name the training data."""


class Reports(TrainerCallback):
    """Logs, evaluates and saves at the steps of the plan."""

    def __init__(self, run: Run, send: Send) -> None:
        self._run, self._send = run, send
        self._plan = run.task.plan
        self._loss, self._steps, self._rows, self._rate = 0.0, 0, 0, 0.0
        self._since = time.monotonic()
        self.last = (math.nan, math.nan)

    def resume(self, folder: Path) -> None:
        """Restores the losses since the last log of an earlier process."""
        state = json.loads((folder / STATE).read_text())
        self._loss, self._steps = state["lossSinceLog"], state["stepsSinceLog"]
        self.last = (state["lastLoss"], state["lastEvalLoss"])

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._since = time.monotonic()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        self._rate = objects["optimizer"].param_groups[0]["lr"]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step, plan, run = state.global_step, self._plan, self._run
        loss = run.taken_loss()
        self._loss += loss
        self._steps += 1
        self._rows += run.order.done(step) - run.order.done(step - 1)
        evaluates = plan.evaluates_at(step) and math.isfinite(loss)
        if step % plan.logging_steps == 0 or evaluates or not math.isfinite(loss):
            self._log(step, evaluates)
        if not math.isfinite(loss):
            raise Diverged(f"the loss of step {step} is {loss}. Use a smaller learningRate.")
        control.should_save = plan.saves_at(step)
        # The loss is from before the update, so check the adapter itself.
        if control.should_save and not run.has_finite_adapter():
            raise Diverged(f"the adapter isn't finite after step {step}. Use a smaller learningRate.")

    def _log(self, step: int, evaluates: bool) -> None:
        run = self._run
        seconds = max(time.monotonic() - self._since, 1e-9)
        eval_loss = run.measured_loss() if evaluates else None
        self.last = (self._loss / max(self._steps, 1), self.last[1] if eval_loss is None else eval_loss)
        self._send(
            {
                "type": "log",
                "id": run.task.id,
                "step": step,
                "loss": self.last[0],
                "evalLoss": eval_loss,
                "learningRate": self._rate,
                "epoch": run.order.done(step) / run.train_rows,
                "samplesPerSecond": self._rows / seconds,
            }
        )
        if eval_loss is not None and not math.isfinite(eval_loss):
            raise Diverged(f"the eval loss of step {step} is {eval_loss}. Use a smaller learningRate.")
        self._loss, self._steps, self._rows = 0.0, 0, 0
        self._since = time.monotonic()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        run, step = self._run, state.global_step
        written = Path(args.output_dir) / f"checkpoint-{step}"
        folder = run.task.checkpoint_folder(step)
        # Each process has written its random state by now.
        run.accelerator.wait_for_everyone()
        if run.is_world_process_zero():
            left = {
                "lossSinceLog": self._loss,
                "stepsSinceLog": self._steps,
                "lastLoss": self.last[0],
                "lastEvalLoss": self.last[1],
            }
            (written / STATE).write_text(json.dumps(left))
            shutil.rmtree(folder, ignore_errors=True)
            written.rename(folder)
            self._send({"type": "checkpoint", "id": run.task.id, "step": step})
        run.accelerator.wait_for_everyone()


def train(
    task: Train,
    send: Send,
    cancelled: Callable[[], bool],
    *,
    rank: int = 0,
    local_rank: int = 0,
    processes: int = 1,
) -> Message:
    """Trains an adapter and returns the last message. Only the first process uses `send`."""
    device = devices.device(local_rank)
    # Free the memory of the previous run.
    release(device)
    if task.resume and not (task.resume / "optimizer.pt").exists():
        raise Refused("resume: the checkpoint is of another engine. Resume it with the one that wrote it.")
    recompute, part = processes > 1 and device.type == "cuda", task.plan.batch_size
    while True:
        try:
            share = Share(rank, processes, -(-part // processes))
            return _train(task, share, device, send, cancelled, recompute=recompute)
        except TooLargeError:
            # Several processes would have to agree on the size of the parts.
            if processes > 1 or (recompute and part == 1):
                raise
            recompute, part = True, part if not recompute else -(-part // 2)
            note = f"recomputing activations, {part} rows at a time"
            print(f"a batch doesn't fit into the device's memory: {note}", file=sys.stderr)
        release(device)


class TooLargeError(torch.OutOfMemoryError):
    """A part of a batch doesn't fit into memory. Nothing has been trained yet."""


def release(device: torch.device) -> None:
    """Frees memory, including trainers, which are part of reference cycles."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def check_memory(run: Run, device: torch.device) -> None:
    """Tries out the longest rows on a device that may run out of memory."""
    if device.type != "cuda":
        return
    try:
        run.check_memory()
    except torch.OutOfMemoryError as error:
        raise TooLargeError(str(error)) from None


def _train(
    task: Train,
    share: Share,
    device: torch.device,
    send: Send,
    cancelled: Callable[[], bool],
    *,
    recompute: bool,
) -> Message:
    def check(*_: Any) -> None:
        if cancelled():
            raise Cancelled

    def loading(done: int, total: int) -> None:
        check()
        if done % 16 == 0:
            send(
                {"type": "progress", "id": task.id, "phase": "loading", "name": task.base_name}
                | {"done": done, "total": total, "unit": "tensors"}
            )

    run = Run(task, share, device, loading, recompute=recompute)
    reports = Reports(run, send)
    run.add_callback(reports)
    if task.resume:
        reports.resume(task.resume)
    # A step of a large model takes seconds, so each layer checks for a cancellation.
    for layer in run.adapted.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer.register_forward_pre_hook(check)
    check()
    check_memory(run, device)
    base, trained = model.parameters(run.adapted)
    send(
        {
            "type": "started",
            "id": task.id,
            "device": str(device),
            "dtype": str(devices.dtype(device)).removeprefix("torch."),
            "processes": share.processes,
            "modelClass": run.base_class,
            "targets": sorted(run.targets)[:MOST_TARGETS],
            "baseParameters": base,
            "trainableParameters": trained,
        }
    )
    begun = time.monotonic()
    run.train(resume_from_checkpoint=str(task.resume) if task.resume else None)
    if run.is_world_process_zero():
        shutil.rmtree(task.adapter, ignore_errors=True)
        run._save(str(task.adapter))
        shutil.rmtree(task.scratch, ignore_errors=True)
        print(_summary(run, device, time.monotonic() - begun), file=sys.stderr)
    return {"type": "completed", "id": task.id, "loss": reports.last[0], "evalLoss": reports.last[1]}


def _summary(run: Run, device: torch.device, seconds: float) -> str:
    tokens = run.trained_tokens()
    line = f"{tokens} tokens in {seconds:.1f} s, {tokens / seconds:.0f} tokens/s on {devices.name(device)}"
    if device.type != "cuda":
        return line
    peak, all_memory = torch.cuda.max_memory_allocated(device), torch.cuda.get_device_properties(device)
    return f"{line}, peak memory {peak / 2**30:.2f} of {all_memory.total_memory / 2**30:.0f} GiB"
