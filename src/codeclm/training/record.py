"""training.json: which training a folder holds, how far it came, and what it came to.

A folder is for one training: a model, data, settings and seed. The same again goes on where it was, or finds that it
is done; another one is refused, unless the one before left nothing: it failed before its first checkpoint, and another
setting is what it needs. The file is written whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from codeclm import run_directory
from codeclm.config_training import Objective, TrainingConfig
from codeclm.errors import ConfigError, RunDirectoryError
from codeclm.training import checkpoints
from codeclm.training.data import TrainingData
from codeclm.weights import digest

RECORD: Final = "training.json"

# What may change between two runs of one training: it decides how the work is done, and not what it comes to.
FREE: Final = frozenset({"device_batch", "gradient_checkpointing", "save_every", "memory_check", "report_to"})


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training. ``folder`` holds the weights or, where ``adapter``, an adapter of ``model``; the tokenizer
    and training.json.

    ``losses`` are (step, loss) of every step; ``tokens`` those read, ``seconds`` those of training in all. ``already``:
    it was done before, and nothing was done now.
    """

    folder: Path
    model: str
    objective: Objective
    adapter: bool
    losses: tuple[tuple[int, float], ...]
    tokens: int
    seconds: float
    already: bool = False

    @property
    def steps(self) -> int:
        """Steps of the optimizer."""
        return self.losses[-1][0] if self.losses else 0


def identity(model: str, data: TrainingData, settings: TrainingConfig, seed: int) -> dict[str, Any]:
    """What makes two trainings the same one, as plain values. Raises ConfigError for a model that can't be read."""
    chosen = settings.model_dump(mode="json", exclude=set(FREE))
    if settings.chat_template and settings.chat_template.is_file():
        chosen["chat_template"] = run_directory.sha256(settings.chat_template)
    return {
        "model": model,
        "model_content": _content(model) if Path(model).is_dir() else None,
        "data": data.path.name,
        "data_sha256": data.sha256,
        "settings": chosen,
        "seed": seed,
    }


def _content(model: str) -> str:
    try:
        return digest(Path(model))
    except ValueError as error:
        raise ConfigError(f"--model {model}: its adapter can't be read: {error}.") from None
    except OSError as error:
        raise ConfigError(f"--model {model}: can't read it ({error.strerror}).") from None


def check_same(folder: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of this very training in ``folder``, None where it holds none yet, or what is left of none.

    Raises RunDirectoryError where the folder belongs to another training, or to something else.
    """
    path = folder / RECORD
    elsewhere = "Choose another folder with --out, or delete this one."
    if not path.exists():
        names = sorted(entry.name for entry in folder.iterdir())
        foreign = [name for name in names if not name.startswith(".") and not name.endswith(".partial")]
        if foreign:
            raise RunDirectoryError(f"{folder}: holds files of no training ({', '.join(foreign[:5])}). {elsewhere}")
        return None
    try:
        record = orjson.loads(path.read_bytes())
        found = {name: record[name] for name in wanted}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunDirectoryError(f"{path}: not the record of a training ({error}). {elsewhere}") from None
    before, now = _flat(found), _flat(wanted)
    differing = [name for name in now if before.get(name) != now[name]]
    if differing and record.get("state") != "complete" and not checkpoints.last_whole(folder / checkpoints.FOLDER):
        return None
    if differing:
        shown = "; ".join(f"`{name}` was {before.get(name)!r:.60} and is {now[name]!r:.60}" for name in differing[:5])
        raise RunDirectoryError(f"{folder}: belongs to another training: {shown}. {elsewhere}")
    return dict(record)


def write(folder: Path, values: Mapping[str, Any]) -> None:
    """Write training.json whole."""
    content = orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    run_directory.write(folder / RECORD, content)


def outcome(folder: Path, record: Mapping[str, Any], *, already: bool) -> Trained:
    """The training that a record tells of."""
    losses: Sequence[Sequence[float]] = record["losses"]
    return Trained(
        folder,
        record["model"],
        record["settings"]["objective"],
        bool(record["adapter"]),
        tuple((int(step), float(loss)) for step, loss in losses),
        int(record["tokens"]),
        float(record["seconds"]),
        already,
    )


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    settings = {f"training.{name}": value for name, value in values["settings"].items()}
    return {name: value for name, value in values.items() if name != "settings"} | settings
