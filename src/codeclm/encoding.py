"""A config's seeds encoded into a table that a person can correct (`codeclm encode`).

It asks what the config's run asks first, by the same stage, journal and budget, and asks it of the strong model alone:
a later run of the config makes none of these calls again, and this one none of the run's. It writes nothing but the
journal into the run directory. Asked again, it goes on where it was stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codeclm import run_directory
from codeclm.clients.calls import StopSwitch
from codeclm.config import RunConfig
from codeclm.connected import clients
from codeclm.dataset.metadata_table import EncodedSeed, as_table, check_name
from codeclm.errors import ConfigError, InputError, OutputError, RunFailed
from codeclm.generate import Inputs, budget_of, read_inputs
from codeclm.journal_check import open_journal
from codeclm.pool import encode_seeds
from codeclm.progress import Progress
from codeclm.records import Metadata

_STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Encoding:
    """What encoding is to begin with: the config, what its files hold, and where the table goes."""

    config: RunConfig
    inputs: Inputs
    out: Path


def prepared(config: RunConfig, out: Path) -> Encoding:
    """Look at everything that can be wrong before a call is made.

    Raises ConfigError without seeds, InputError for a file that can't be read or a table that can't stand at ``out``.
    """
    if config.seeds is None:
        raise ConfigError("`seeds`: this config has none, and metadata written by hand is not encoded. Name a file.")
    check_name(out)
    place = out.resolve()
    if place.parent == config.run_dir and place.name in run_directory.OWN_FILES:
        raise InputError(f"{out}: is a file of the run's own. Name another one.")
    if not place.parent.is_dir():
        raise OutputError(f"{out}: there is no folder {place.parent}. Make it, or name another place.")
    return Encoding(config, read_inputs(config), out)


async def encoded(encoding: Encoding, *, stop: StopSwitch, progress: Progress) -> tuple[EncodedSeed, ...]:
    """The seeds with their metadata, in seed order; those without it could not be encoded.

    Raises what a run would: RunDirectoryError where the directory belongs to another config or somebody works there,
    ConfigError, JournalError, CallFailed for what another attempt may mend, BudgetReached, Stopped; and RunFailed where
    not one seed could be encoded.
    """
    config, inputs = encoding.config, encoding.inputs
    roles = {_STRONG: config.models.strong}
    rows = []
    with run_directory.held(config, inputs.sha256), open_journal(config, inputs.sha256) as journal:
        progress.budget = budget = budget_of(config, journal, roles)
        async with clients(config, roles, journal=journal, stop=stop, calls=progress.calls, budget=budget) as models:
            progress.phase = "encode"
            window = 2 * config.models.strong.max_in_flight
            strong, settings = models[_STRONG], config.method
            results = encode_seeds(
                inputs.seeds, strong=strong, settings=settings, window=window, examples=inputs.examples
            )
            async for seed, result in results:
                progress.encoded += 1
                if isinstance(result, Metadata):
                    rows.append(EncodedSeed(seed, result))
                    continue
                cause = result.failure.cause if result.failure else ""
                progress.failed_seeds += 1
                progress.failures_by_cause[cause] += 1
                rows.append(EncodedSeed(seed, None, cause))
    if not any(row.metadata for row in rows):
        raise RunFailed(
            f"None of the {len(rows)} seeds could be encoded: {causes(rows)}. Nothing was written. Can "
            f"{config.models.strong.model} follow instructions?"
        )
    return tuple(rows)


def causes(rows: Sequence[EncodedSeed]) -> str:
    """Why seeds could not be encoded, the most frequent cause first."""
    found = Counter(row.cause for row in rows if row.metadata is None)
    return ", ".join(f"{cause} ({count})" for cause, count in found.most_common())


def write_table(out: Path, rows: Sequence[EncodedSeed]) -> None:
    """Write the table. Raises InputError where another is there, for a person may have corrected it; OutputError."""
    content = as_table(rows, out)
    try:
        if out.exists() and out.read_bytes() == content:
            return
    except OSError as error:
        raise run_directory.unwritable(out, error) from None
    if out.exists():
        raise InputError(
            f"{out}: is there already with other content, and may hold what a person corrected. Name another file: "
            "every call is recorded, and none is made again."
        )
    run_directory.write(out, content)
