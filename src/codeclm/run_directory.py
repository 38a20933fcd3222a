"""The run directory: the interface between the parts of codeclm, and to the user.

Owns which run a directory belongs to (one config, one set of inputs), that one run at a time holds it, and that the
files in it are whole: each is written beside its place and moved there at once.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from filelock import FileLock, Timeout

from codeclm import journal_file, worker
from codeclm.bounded_lines import LONGEST, lines_in
from codeclm.config import EngineConfig, RunConfig
from codeclm.config_files import differences, dump, load
from codeclm.config_models import ModelConfig, ServeConfig
from codeclm.config_training import TrainingConfig
from codeclm.errors import ConfigError, OutputError, RunDirectoryError
from codeclm.journal import endpoint_key
from codeclm.journal_uses import knows
from codeclm.part_names import shown

CONFIG = "config.yaml"
JOURNAL = journal_file.NAME
PLAN = "plan.json"
MANIFEST = "manifest.json"
CARD = "README.md"
EXAMPLES = "examples.jsonl"
EXAMPLES_PARQUET = "examples.parquet"
PREFERENCES = "preferences.jsonl"
DISCARDED = "discarded.jsonl"
FAILURES = "failures.jsonl"
METADATA = "metadata.jsonl"
REPORT = "report.html"
EDITS = "edits.jsonl"
"""What people changed in the examples (codeclm.edits): no run writes or replaces it."""

LOCK = ".lock"
OWN_FILES = (
    CONFIG, JOURNAL, PLAN, MANIFEST, CARD, EXAMPLES, PREFERENCES, DISCARDED, FAILURES, METADATA, REPORT, EDITS, LOCK,
)  # fmt: skip

_GLANCE = 0.2  # seconds: who only looks whether a directory is held holds it for far less (is_held)

# What may change between two runs on one directory without changing what the models answer.
FREE_KEYS = frozenset(
    {
        "size", "run_dir", "seeds", "metadata", "general_seeds", "test_sets", "prompts", "encode_examples", "journal",
        *(f"engine.{name}" for name in EngineConfig.model_fields),
        "method.patience", "models.*.max_in_flight",
        "models.*.timeout", "models.*.retries", "models.*.api_key_env", "models.*.requests_per_minute",
        "models.*.tokens_per_minute", "models.*.batch", "models.*.price", "models.*.price.input",
        "models.*.price.output", "models.*.give_up_after", "budget.usd", "budget.calls", "budget.tokens",
        "metrics_port", "evaluation.answer_temperature", "models.*.serve.command", "models.*.serve.ready_within",
        *(f"training.{name}" for name in TrainingConfig.model_fields),
    }
)  # fmt: skip


def journal_path(config: RunConfig) -> Path:
    """Where the run's calls are recorded."""
    return config.journal or config.run_dir / JOURNAL


def journal_of(folder: Path) -> Path:
    """Where the calls of the run in ``folder`` are recorded, by the config that is there.

    A shared journal that was moved or copied together with the directory is found where it is now.
    """
    try:
        config = load(folder / CONFIG)
    except ConfigError:
        return folder / JOURNAL
    if config.journal is None:
        return folder / JOURNAL
    beside = Path(os.path.normpath(folder.resolve() / os.path.relpath(config.journal, config.run_dir)))
    return beside if beside.exists() else config.journal


@contextmanager
def held(config: RunConfig, inputs_sha256: str) -> Iterator[Path]:
    """The run directory, made if need be, for this run alone; refused when it belongs to another config or inputs."""
    folder = config.run_dir
    with made_and_alone(folder):
        check_same_run(folder, config, inputs_sha256)
        yield folder


@contextmanager
def made_and_alone(folder: Path) -> Iterator[None]:
    """As :func:`alone`, in a directory that is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunDirectoryError(f"{folder}: can't make it ({error.strerror}). Choose another run_dir.") from None
    with alone(folder):
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else at work in the directory meanwhile. Raises RunDirectoryError where somebody is."""
    busy = f"{folder}: another run is at work in this directory. Wait for it or stop it, or choose another run_dir."
    with (
        _locked(folder / LOCK, lambda: busy, f"{folder}: can't write there", "Choose another run_dir."),
        worker.recorded(folder),
    ):
        yield


@contextmanager
def alone_with(journal: Path, others: Callable[[], Iterable[Path]]) -> Iterator[None]:
    """Nobody else at work with the journal meanwhile. Raises RunDirectoryError where somebody is.

    ``others`` are the directories of runs that share it, for the message.
    """
    lock = journal.with_name(f".{journal.name}{LOCK}")

    def busy() -> str:
        found = next((f"the run in {folder}" for folder in others() if is_held(folder)), "another run")
        return (
            f"{journal}: {found} is at work with this journal, and runs that share one go one after the other. Wait "
            "for it or stop it."
        )

    with _locked(lock, busy, f"{journal.parent}: can't write there", "Choose another place for the journal."):
        yield


@contextmanager
def _locked(lock: Path, busy: Callable[[], str], unwritable: str, remedy: str) -> Iterator[None]:
    held = FileLock(lock)
    try:
        held.acquire(timeout=_GLANCE, poll_interval=_GLANCE / 10)
    except Timeout:
        raise RunDirectoryError(busy()) from None
    except OSError as error:
        raise RunDirectoryError(f"{unwritable} ({error.strerror}). {remedy}") from None
    try:
        yield
    finally:
        held.release()


def is_held(folder: Path) -> bool:
    """Whether a run is at work in the directory now."""
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:  # a directory one may only read
        return False
    lock.release()
    return False


def state_of(folder: Path, manifest: dict[str, Any]) -> str:
    """The state of the run whose manifest this is: killed where it should be running and nobody is at work."""
    state = manifest["state"]
    return "killed" if state == "running" and not is_held(folder) else str(state)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest, or None where no run has come so far."""
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunDirectoryError(
            f"{folder / MANIFEST}: not readable ({error}). Move it away and run the config again to have it anew."
        ) from None
    if not isinstance(manifest, dict) or "state" not in manifest:
        raise RunDirectoryError(
            f"{folder / MANIFEST}: not the manifest of a run. Move it away and run the config again to have it anew."
        )
    return manifest


def counted_calls(manifest: dict[str, Any]) -> int:
    """How many recorded calls a manifest tells of."""
    rows = manifest.get("calls")
    counts = [row.get("calls") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return sum(count for count in counts if isinstance(count, int))


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old or the new one, never half of it."""
    partial = path.with_name(path.name + ".partial")
    try:
        _take_away_unlike_ours(partial)
        place = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with os.fdopen(place, "wb") as file:
            file.write(content)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise unwritable(path, error) from None


def _take_away_unlike_ours(partial: Path) -> None:
    """A directory may be anybody's: through a link that lies where we write, another file would be overwritten."""
    with suppress(FileNotFoundError):
        status = partial.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            partial.unlink()


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest."""
    write(folder / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def unwritable(path: Path, error: OSError) -> OutputError:
    """The error for a file that could not be written."""
    return OutputError(
        f"{path}: can't write ({error.strerror or error}). Make room or mend the permissions and run again: "
        "recorded calls are not made again."
    )


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one of the directory's JSON Lines files, one at a time; none where the file is not there.

    Raises RunDirectoryError at a line that is no JSON, and where the file can't be read.
    """
    for number, line in enumerate(read_lines(path), start=1):
        try:
            yield orjson.loads(line)
        except ValueError:
            raise RunDirectoryError(f"{path}:{number}: not a row. Run the config again to have it anew.") from None


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of one of the directory's files as they stand, one at a time; none where the file is not there.

    Raises RunDirectoryError where it can't be read.
    """
    if not path.exists():
        return
    with _opened(path) as file:
        for number, (line, _) in enumerate(lines_in(file), start=1):
            if line is None:
                raise RunDirectoryError(f"{path}:{number}: a line of more than {LONGEST >> 20} MB, which is no row.")
            yield line


def rows_with_id(path: Path, wanted: str) -> Iterator[dict[str, Any]]:
    """The rows of a file with this id, one at a time. Only lines that hold its text are parsed: files may be long."""
    needle = orjson.dumps(wanted.encode("utf-8", "replace").decode())[1:-1]
    for line in read_lines(path):
        if needle in line:
            with suppress(ValueError):
                row = orjson.loads(line)
                if isinstance(row, dict) and row.get("id") == wanted:
                    yield row


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise RunDirectoryError(
            f"{path}: can't read it ({error.strerror}). Mend its permissions, or move it away and run the config again "
            "to have it anew."
        ) from None


def sha256(path: Path) -> str:
    """A file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inputs_sha256(config: RunConfig, *, general: bool) -> str:
    """One digest of the files a run starts from: seeds or metadata, the general seeds or encode examples where it uses
    them, test sets and prompts.

    Of the seeds alone it is the file's own.
    """
    used = [path for path in (config.seeds, config.metadata, config.general_seeds if general else None) if path]
    digests = [sha256(path) for path in used] + [f"test set {path.name}:{sha256(path)}" for path in config.test_sets]
    if config.encode_examples and not general:
        digests.append(f"encode examples:{sha256(config.encode_examples)}")
    if config.prompts:
        digests += [f"{path.name}:{sha256(path)}" for path in sorted(config.prompts.glob("*.txt"))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def begun_as(config: RunConfig, inputs_sha256: str) -> bytes:
    """A digest that tells the runs apart that one directory may be used for, one after the other."""
    method = config.method.model_dump(mode="json")
    endpoints = {role: endpoint_key(model).hex() for role, model in config.models.named.items()}
    return hashlib.blake2b(orjson.dumps([method, config.seed, inputs_sha256, endpoints]), digest_size=16).digest()


def write_config(folder: Path, config: RunConfig) -> None:
    """Write the configuration the directory belongs to from now on."""
    write(folder / CONFIG, dump(config).encode())


def check_same_run(folder: Path, config: RunConfig, inputs_sha256: str) -> None:
    """Raise RunDirectoryError where the directory belongs to another config or other inputs. Writes nothing."""
    if not has_begun(folder, config):
        foreign = [name for name in OWN_FILES if name not in (LOCK, PLAN, EDITS) and (folder / name).exists()]
        if foreign:
            raise RunDirectoryError(
                f"{folder}: holds files that no run wrote ({', '.join(foreign)}) and a run would replace. "
                "Choose a new run_dir."
            )
        return
    manifest = read_manifest(folder)
    if not (folder / CONFIG).exists() or manifest is None or never_got_going(manifest):
        return
    elsewhere = "Choose another run_dir, or put the old value back."
    differing = differences(_settled(load(folder / CONFIG)), _settled(config), ignoring=FREE_KEYS)
    if differing:
        rows = "; ".join(f"`{key}` was {old!r:.80} and is {new!r:.80}" for key, old, new in differing)
        moved = any(key.endswith("base_url") for key, _, _ in differing)
        hint = (
            " If a server only moved, set its `identity` to the old base_url: nothing is asked twice." if moved else ""
        )
        if any(key.endswith("serve.weights") for key, _, _ in differing):
            hint += " What is served is known by its content: these weights are not those the run began with."
        raise RunDirectoryError(f"{folder}: this directory belongs to another config: {rows}. {elsewhere}{hint}")
    recorded = manifest.get("inputs_sha256")
    if recorded not in (None, inputs_sha256):
        raise RunDirectoryError(
            f"{folder}: the seeds (or metadata) file is not the one this run began with{_or_another(config)}. "
            f"{elsewhere} To go on with the old answers, copy the old run's journal.sqlite into the new run_dir."
        )


def _or_another(config: RunConfig) -> str:
    """What else a run starts from that may have changed."""
    others = [key for key in ("general_seeds", "test_sets", "prompts", "encode_examples") if getattr(config, key)]
    return f", or what `{'` or `'.join(others)}` names has changed" if others else ""


def has_begun(folder: Path, config: RunConfig) -> bool:
    """Whether a run was here: its journal is, or the journal that it shared knows it, or is lost."""
    if (folder / JOURNAL).exists() or _lost_its_journal(folder):
        return True
    if "shared_calls" in (read_manifest(folder) or {}):
        return True
    return any(knows(path, folder) for path in {journal_path(config), journal_of(folder)} if path.exists())


def _lost_its_journal(folder: Path) -> bool:
    """Whether a run was here and made calls, whose journal is gone: another matter than files that no run wrote."""
    return (folder / CONFIG).exists() and counted_calls(read_manifest(folder) or {}) > 0


def never_got_going(manifest: dict[str, Any]) -> bool:
    """Whether an earlier run made no call but the handshake, so that its config is no promise to anyone."""
    return all(row["stage"] == "handshake" for row in manifest.get("calls", ()))


def _settled(config: RunConfig) -> RunConfig:
    """The config with every endpoint under the name its answers are recorded as, wherever it is reached."""

    def settled(model: ModelConfig) -> ModelConfig:
        if model.identity or model.serve is None:
            return model.model_copy(update={"base_url": model.recorded_as, "identity": None, "serve": None})
        served = ServeConfig(
            engine=model.serve.engine,
            model="its content" if model.serve.weights else model.serve.model,
            weights=model.serve.weights,
            options=model.serve.options,
        )
        return model.model_copy(update={"model": model.recorded_model, "serve": served})

    models = config.models
    update = {
        "strong": settled(models.strong),
        "target": settled(models.target),
        "judge": models.judge and settled(models.judge),
        "ensemble": {name: settled(model) for name, model in models.ensemble.items()},
        "jury": {name: settled(model) for name, model in models.jury.items()},
        "candidates": {},  # no run asks them, nor the next
        "embedding": None,
    }
    # A part of the user's own by its file's name, so that the folder may move.
    parts = {kind: shown(name) for kind in ("source", "tailor", "filter") if (name := getattr(config.method, kind))}
    method = config.method.model_copy(update=parts)
    return config.model_copy(update={"models": models.model_copy(update=update), "method": method})
