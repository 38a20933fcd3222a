"""Has the traffic moved away from what a run covers?

Contract. New instructions are encoded by the run's own strong model, settings and prompts, through the stage that its
seeds went through. The calls are in the run's journal, under its budget, and are not made twice; the seeds' own are
there already. Two questions are answered, by two things:

- the test (statistics.py) holds the traffic against the run's **seeds**. A run from metadata written by hand has
  none: its rows take their place. They are a list and no sample of any traffic, so p says less there;
- coverage (coverage.py) holds it against the run's **examples**, as people edited or dropped them. Beside it stands
  what examples of these seeds could cover at most.

Texts that can't be encoded are counted and listed, and take no part. The same files and answers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from codeclm import __version__, run_directory
from codeclm.asking import asking
from codeclm.auditing.audit import config_of
from codeclm.auditing.fidelity import Names
from codeclm.auditing.findings import clipped, examples_in
from codeclm.clients.calls import StopSwitch
from codeclm.config import RunConfig
from codeclm.dataset.outcomes import writable
from codeclm.dataset.seeds import Seeds, read_seeds
from codeclm.drifting.coverage import Coverage, coverage
from codeclm.drifting.encoded import KINDS, Encoded, Kind, encoded
from codeclm.drifting.moves import Move, Moves, moves
from codeclm.drifting.statistics import ALPHA, Distances, distances
from codeclm.edits import Applied, edited_rows, read_edits
from codeclm.errors import InputError, RunDirectoryError, RunFailed
from codeclm.generate import Inputs, read_inputs
from codeclm.pool import encode_seeds
from codeclm.progress import Progress
from codeclm.records import Metadata, Outcome, Seed

FOLDER: Final = "drift"
"""The folder in a run directory that drifts are in."""

DRIFT: Final = "drift.json"


@dataclass(frozen=True, slots=True)
class Traffic:
    """New instructions, each once; ``name`` is good for a folder."""

    name: str
    file: str
    sha256: str
    instructions: tuple[Seed, ...]
    duplicates: int


@dataclass(frozen=True, slots=True)
class Unread:
    """An instruction that could not be encoded, and why."""

    id: str
    instruction: str
    cause: str


@dataclass(frozen=True, slots=True)
class Side:
    """The instructions of one side that were encoded, and those that could not be."""

    encoded: tuple[Encoded, ...]
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """What docs/drift.md says of each figure."""

    traffic: Traffic
    now: Side
    known: Side
    known_as: Literal["seeds", "metadata"]
    examples: int
    distances: Distances
    coverage: Coverage
    by_seeds: Coverage
    moves: dict[Kind, Moves]
    edits: Applied


def read_traffic(path: Path, field: str | None) -> Traffic:
    """The traffic in ``path``, read as seeds are; ``field`` is where the instruction is, if said. Raises InputError."""
    try:
        found: Seeds = read_seeds(path, field=field)
    except InputError as error:
        raise InputError(str(error).replace("`seeds_field`", "--field")) from None
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in path.stem).lstrip(".") or "traffic"
    return Traffic(name, path.name, run_directory.sha256(path), found.seeds, found.duplicates)


def made_run(folder: Path, overrides: Sequence[str] = ()) -> tuple[RunConfig, Inputs]:
    """The config and the inputs of the run in ``folder``, as it began with them.

    Raises RunDirectoryError where there is no run, or its inputs or settings are others by now; ConfigError and
    InputError where they can't be read.
    """
    config = config_of(folder, overrides)
    if config is None or not (folder / run_directory.EXAMPLES).exists():
        missing = run_directory.EXAMPLES if config else run_directory.CONFIG
        raise RunDirectoryError(f"{folder}: there is no {missing}. Name the run_dir of a run that has begun.")
    inputs = read_inputs(config)
    run_directory.check_same_run(folder, config, inputs.sha256)
    return config, inputs


async def drift(
    config: RunConfig,
    inputs: Inputs,
    traffic: Traffic,
    *,
    stop: StopSwitch | None = None,
    progress: Progress | None = None,
) -> Drift:
    """Hold the traffic against the run. ``progress`` is told of every instruction that has been encoded.

    Raises RunFailed where no instruction of a side can be encoded, and what makes going on useless: Stopped,
    BudgetReached, JournalError, a CallFailed that may pass.
    """
    progress = progress or Progress(config.size)
    now, known = await _encode(config, inputs, traffic, stop or StopSwitch(), progress)
    if inputs.metadata:
        rows = (encoded(f"row {place}", "", metadata) for place, metadata in enumerate(inputs.metadata, start=1))
        known = Side(tuple(rows))
    for side, name in ((now, "instructions of the traffic"), (known, "seeds of the run")):
        if not side.encoded:
            causes = ", ".join(sorted({one.cause for one in side.unread}))
            raise RunFailed(f"None of the {len(side.unread):,} {name} could be encoded: {causes}. Nothing is compared.")
    names, examples, applied = Names(), 0, Applied()
    for example in examples_in(edited_rows(config.run_dir, read_edits(config.run_dir), applied)):
        names.add(example.use_case, example.skills)
        examples += 1
    progress.phase = "done"
    counts = dict(zip(KINDS, (names.use_cases, names.skills), strict=True))
    return Drift(
        traffic=traffic,
        now=now,
        known=known,
        known_as="metadata" if inputs.metadata else "seeds",
        examples=examples,
        distances=distances(now.encoded, known.encoded, seed=config.seed),
        coverage=coverage(now.encoded, names.use_cases, names.skills),
        by_seeds=coverage(now.encoded, *(_names(known, kind) for kind in KINDS)),
        moves={kind: moves(kind, now.encoded, known.encoded, counts[kind]) for kind in KINDS},
        edits=applied,
    )


async def _encode(
    config: RunConfig, inputs: Inputs, traffic: Traffic, stop: StopSwitch, progress: Progress
) -> tuple[Side, Side]:
    """The traffic and the seeds, encoded."""
    texts = [*inputs.seeds, *traffic.instructions]
    sides: tuple[list[Encoded | Unread], list[Encoded | Unread]] = ([], [])
    progress.phase, progress.to_measure = "measure", len(texts)
    strong, window = config.models.strong, 2 * config.models.strong.max_in_flight
    async with asking(config, f"{FOLDER}/{traffic.name}", {"strong": strong}, stop=stop, progress=progress) as by_name:
        results = encode_seeds(
            texts, strong=by_name["strong"], settings=config.method, window=window, examples=inputs.examples
        )
        async for text, found in results:
            side = sides[progress.measured < len(inputs.seeds)]
            side.append(_read(text, found))
            progress.measured += 1
    return _side(sides[0]), _side(sides[1])


def _read(text: Seed, found: Metadata | Outcome) -> Encoded | Unread:
    if isinstance(found, Metadata):
        return encoded(text.id, text.instruction, found)
    return Unread(text.id, text.instruction, found.failure.cause if found.failure else found.status)


def _side(found: Sequence[Encoded | Unread]) -> Side:
    return Side(
        tuple(one for one in found if isinstance(one, Encoded)), tuple(one for one in found if isinstance(one, Unread))
    )


def _names(side: Side, kind: Kind) -> frozenset[str]:
    return frozenset(name for one in side.encoded for name in one.names(kind))


def as_values(made: Drift) -> dict[str, Any]:
    """The drift as plain values, as ``drift.json`` has them."""
    traffic = made.traffic
    values: dict[str, Any] = {
        "codeclm": __version__,
        "traffic": {
            "file": traffic.file,
            "sha256": traffic.sha256,
            "instructions": len(traffic.instructions),
            "duplicates": traffic.duplicates,
            "encoded": len(made.now.encoded),
            "not_encoded": [_unread_values(one) for one in made.now.unread],
        },
        "compared_with": {
            "what": made.known_as,
            "encoded": len(made.known.encoded),
            "not_encoded": [_unread_values(one) for one in made.known.unread],
        },
        "moved": made.distances.moved,
        "p_value": made.distances.p_value,
        "permutations": made.distances.permutations,
        "alpha": ALPHA,
        "distance": {kind: getattr(made.distances, kind) for kind in KINDS},
        "examples": made.examples,
        "edits": made.edits.as_values() if made.edits.edits else None,
        "coverage": asdict(made.coverage),
        "coverage_by_seeds": asdict(made.by_seeds),
        **{kind: _moves_values(made.moves[kind]) for kind in KINDS},
    }
    return dict(writable(values))


def _unread_values(one: Unread) -> dict[str, Any]:
    return {"id": one.id, "instruction": clipped(one.instruction), "cause": one.cause}


def _moves_values(found: Moves) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("new", "vanished", "grown", "shrunk"):
        values[f"{name}_count"] = getattr(found, f"{name}_count")
        values[name] = [_move_values(move) for move in getattr(found, name)]
    return values


def _move_values(move: Move) -> dict[str, Any]:
    shown = [{"id": one.id, "instruction": clipped(one.instruction)} for one in move.shown]
    counts = {"traffic": move.traffic, "compared_with": move.known, "examples": move.examples}
    return {"name": move.name, **counts, "shown": shown}


def folder_of(run_dir: Path, made: Drift) -> Path:
    """Where the files of this traffic are."""
    return run_dir / FOLDER / made.traffic.name


def write(run_dir: Path, made: Drift) -> Path:
    """Write ``drift.json`` and give its folder. Raises OutputError."""
    folder = folder_of(run_dir, made)
    content = orjson.dumps(as_values(made), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    run_directory.write(folder / DRIFT, content)
    return folder
