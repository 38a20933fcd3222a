"""Training elsewhere: a folder with the data, a trainer's config and a README, to be copied to where the GPUs are.

:func:`emit` writes it from the settings `codeclm train` uses. The folder is whole or not there; one that was written
before is replaced only as long as nobody has changed it or trained in it. Nothing in it names a path outside, but a
model's own folder.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from codeclm import __version__, run_directory
from codeclm.config_training import TrainingConfig
from codeclm.dataset.export import write_rows
from codeclm.errors import ConfigError, InputError, OutputError, RunDirectoryError
from codeclm.training import train
from codeclm.training.data import TrainingData, read_data
from codeclm.training.emitting import axolotl_config, llama_factory_config, trl_config, unsloth_script
from codeclm.training.emitting.readme import all_notes, readme
from codeclm.training.emitting.recipe import DATA, TEMPLATE, Asked, Recipe, Row
from codeclm.training.refusals import resolved

TARGETS: Final[Mapping[str, Callable[[Asked], Recipe]]] = MappingProxyType(
    {
        "trl": trl_config.recipe,
        "axolotl": axolotl_config.recipe,
        "llama-factory": llama_factory_config.recipe,
        "unsloth": unsloth_script.recipe,
    }
)
"""Trainers by name: each makes a :class:`~codeclm.training.emitting.recipe.Recipe`."""

EMITTED: Final = "emitted"

MARK: Final = "emitted.json"
"""The file by which a folder is known as one of ours: target, version, and the digest of each file."""


@dataclass(frozen=True, slots=True)
class Emitted:
    """A folder written: its files, how many rows the data has, what to run in it, where it differs."""

    folder: Path
    files: tuple[Path, ...]
    rows: int
    command: str
    notes: tuple[str, ...]


def default_folder(run_dir: Path, model: str, settings: TrainingConfig, target: str) -> Path:
    """Where it goes unless another folder is named: emitted/NAME-OBJECTIVE-PRESET-TARGET in the run directory."""
    return run_dir / EMITTED / f"{train.default_folder(run_dir, model, settings).name}-{target}"


def emit(run_dir: Path, model: str, settings: TrainingConfig, target: str, out: Path, *, seed: int) -> Emitted:
    """Write what ``target`` (one of :data:`TARGETS`) needs to train ``model`` on a run's data into the folder ``out``.

    ``model`` is a hub's name or a folder of weights, which need not be on this machine. Raises ConfigError for settings
    or a model that can't be trained, InputError where there are no rows or unfit ones, RunDirectoryError where ``out``
    holds anything else, OutputError where it can't be written.
    """
    if target not in TARGETS:
        raise ConfigError(f"{target!r:.60} is no trainer that a config can be written for: {', '.join(TARGETS)}.")
    asked = Asked(_named(model), settings, seed)
    recipe = TARGETS[target](asked)
    template = _template(settings)
    data = read_data(run_dir, settings.objective)
    _refuse_others(out, target)
    unfinished = _beside(out)
    try:
        name = DATA[settings.objective]
        count = write_rows(unfinished / name, _turned(data, recipe.row))
        files = {**recipe.files, **template, "README.md": readme(target, asked, recipe, count)}
        for file, content in files.items():
            run_directory.write(unfinished / file, content)
        _mark(unfinished, target)
        _put_in_place(unfinished, out)
    except OSError as error:
        raise OutputError(f"{out}: can't be written ({error.strerror or error}). Choose another --out.") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    written = tuple(out / file for file in (name, *files))
    notes = (*all_notes(target, asked, recipe), *filter(None, [data.edits.told()]))
    return Emitted(out, written, count, recipe.command, notes)


def _named(model: str) -> str:
    """The model as the trainer is to find it: a folder of this machine by its whole path."""
    if not model.strip():
        raise ConfigError("--model is empty. Name the model to train, such as Qwen/Qwen2.5-0.5B-Instruct, or a folder.")
    try:
        folder = Path(model).expanduser()
        here = folder.is_dir()
    except (OSError, RuntimeError, ValueError):  # a name that no file could have
        return model
    if here and (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise ConfigError(f"{folder}: this is an adapter. Merge it into its model first, and name the merged folder.")
    return resolved(model) if here else model


def _template(settings: TrainingConfig) -> dict[str, bytes]:
    """The user's chat template, to go along."""
    if settings.chat_template is None:
        return {}
    try:
        return {TEMPLATE: settings.chat_template.read_bytes()}
    except OSError as error:
        raise ConfigError(
            f"{settings.chat_template}: training.chat_template can't be read ({error.strerror or error})."
        ) from None


def _turned(data: TrainingData, row: Callable[[Row], Row]) -> Iterator[Row]:
    """The rows as the trainer reads them."""
    for number, messages in enumerate(data.rows, start=1):
        try:
            yield row(dict(messages))
        except InputError as problem:
            raise InputError(f"{data.path}: row {number}: {problem}.") from None


def _refuse_others(out: Path, target: str) -> None:
    """Raise RunDirectoryError where ``out`` holds anything but what was written for the same trainer, unchanged."""
    other = "Choose another --out, or move it away."
    if glob.has_magic(str(out.resolve())):
        raise RunDirectoryError(
            f"{out}: trainers read *, ? and [ in the path of their data as a pattern, and find nothing. Choose another "
            "--out, in a folder without them."
        )
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise RunDirectoryError(f"{out}: this is no folder. {other}")
    found = {path.name for path in out.iterdir()}
    if not found:
        return
    mark = _read_mark(out / MARK)
    if mark is None:
        raise RunDirectoryError(f"{out}: this folder holds other files. {other}")
    if mark["target"] != target:
        raise RunDirectoryError(f"{out}: this folder was written for {mark['target']!r:.40}. {other}")
    digests: dict[str, str] = mark["files"]
    if more := sorted(found - {*digests, MARK}):
        raise RunDirectoryError(f"{out}: holds {more[0]!r:.60} too, such as a training leaves. {other}")
    for name, digest in digests.items():
        if name in found and not ((out / name).is_file() and run_directory.sha256(out / name) == digest):
            raise RunDirectoryError(f"{out / name}: was changed since it was written here. {other}")


def _read_mark(path: Path) -> dict[str, Any] | None:
    try:
        mark = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    known = isinstance(mark, dict) and isinstance(mark.get("target"), str) and isinstance(mark.get("files"), dict)
    return mark if known else None


def _beside(out: Path) -> Path:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise OutputError(
            f"{out.parent}: can't write there ({error.strerror or error}). Choose another --out."
        ) from None


def _mark(folder: Path, target: str) -> None:
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    mark = {"target": target, "codeclm": __version__, "files": digests}
    run_directory.write(folder / MARK, orjson.dumps(mark, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _put_in_place(unfinished: Path, out: Path) -> None:
    """Move the folder to its place; of an older one all files go, the mark last, so that it is known until the end."""
    unfinished.chmod(0o755)  # as folders are; mkdtemp makes them for oneself
    if out.is_dir():
        for path in sorted(out.iterdir(), key=lambda path: path.name == MARK):
            path.unlink()
        out.rmdir()
    os.replace(unfinished, out)
