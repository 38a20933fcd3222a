"""`codeclm train`: fine-tune a model on a run's data, or refuse before it starts, with the remedy.

The same training again goes on from its last whole checkpoint and comes to what it would have come to unbroken; done
before, it does nothing. Several processes that torchrun or ``accelerate launch`` started train together; the first
tells and writes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from codeclm import __version__, run_directory
from codeclm.config_training import TrainingConfig
from codeclm.errors import RunDirectoryError
from codeclm.training import extra, record, refusals
from codeclm.training.data import read_data
from codeclm.training.devices import Device, is_first, use_one_gpu, world_size
from codeclm.training.progress import Note, Tell, nobody
from codeclm.training.record import Trained

MODELS: Final = "models"


def default_folder(run_dir: Path, model: str, settings: TrainingConfig) -> Path:
    """Where a training goes unless another folder is named: models/NAME-OBJECTIVE-PRESET in the run directory."""
    name = re.sub(r"[^\w.-]+", "-", Path(model).name).strip(".-") or "model"
    return run_dir / MODELS / f"{name}-{settings.objective}-{settings.preset}"


def train(
    run_dir: Path, model: str, settings: TrainingConfig, out: Path, *, seed: int = 0, tell: Tell = nobody
) -> Trained:
    """Fine-tune ``model`` (a folder, or a name on the hub) on what ``run_dir`` holds, into the folder ``out``.

    Raises ConfigError, InputError or RunDirectoryError before it starts where it can't work; Stopped where ``tell``
    raises it, after a checkpoint of the step; RunFailed and OutputError where it ends in an error.
    """
    model = refusals.resolved(model)
    data = read_data(run_dir, settings.objective)
    wanted = record.identity(model, data, settings, seed)
    with _held(out):
        before = record.check_same(out, wanted)
        if before and before["state"] == "complete":
            return record.outcome(out, before, already=True)
        extra.require(settings.report_to)
        gpus = use_one_gpu()
        with extra.quiet(), extra.without_bars():
            checked = refusals.check(model, data, settings, tell)
            if told := data.edits.told():
                tell(Note(told))
            if gpus > world_size() == 1:
                tell(Note(f"One of {gpus} GPUs is used. All of them: torchrun --nproc-per-node {gpus} -m codeclm …"))
            return _trained(checked, wanted, out, seed, tell)


def _trained(checked: refusals.Checked, wanted: Mapping[str, Any], out: Path, seed: int, tell: Tell) -> Trained:
    """Train what was checked."""
    from codeclm.training import trainer

    lengths, data = checked.lengths, checked.data
    values = {
        "codeclm": __version__,
        "state": "running",
        **wanted,
        "adapter": checked.settings.lora_rank > 0,
        "examples": {"read": lengths.count, "cut": lengths.cut, "left_out": lengths.lost, "longest": lengths.longest},
        **({"edits": data.edits.as_values()} if data.edits.edits else {}),
        "memory": {"estimated": checked.need and checked.need.total, "free": checked.device.free},
    }
    if is_first():
        record.write(out, values)
    job = trainer.Job(
        wanted["model"],
        checked.base,
        checked.tokenizer,
        data,
        checked.settings,
        seed,
        out,
        checked.precision,
        checked.device.kind,
    )
    try:
        came = trainer.run(job, tell)
    finally:
        _release()
    values |= {
        "state": "complete",
        "steps": came.losses[-1][0] if came.losses else 0,
        "losses": came.losses,
        "tokens": came.tokens,
        "seconds": round(came.seconds, 3),
        "how": checked.settings.model_dump(mode="json", include=set(record.FREE)),
        "precision": checked.precision,
        "versions": extra.versions(),
        "machine": _machine(checked.device),
    }
    if is_first():
        record.write(out, values)
        trainer.forget_checkpoints(out)
    return record.outcome(out, values, already=False)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder, made if need be, for this training alone. The first process holds it for all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunDirectoryError(f"{folder}: can't make it ({error.strerror}). Choose another with --out.") from None
    if not is_first():
        yield
        return
    lock = FileLock(folder / run_directory.LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RunDirectoryError(f"{folder}: another training is at work there. Wait for it or stop it.") from None
    except OSError as error:
        raise RunDirectoryError(f"{folder}: can't write there ({error.strerror}). Choose another --out.") from None
    try:
        yield
    finally:
        lock.release()


def _machine(device: Device) -> dict[str, Any]:
    return {"device": device.name, "processes": world_size(), "cores": os.cpu_count()}


def _release() -> None:
    """End the group of processes, which torch complains of otherwise, and give the GPU's memory to who comes next."""
    import gc

    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
