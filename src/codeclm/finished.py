"""Whether a run directory already holds all that its config asks for, so that running it again has nothing to do.

Running again is how a run is resumed, and replaying the calls of a million examples takes minutes only to write the
same files. A complete run therefore files the digests of what it wrote. Where the same codeclm is given the same config
and inputs, the journal holds the calls that were counted and every file is as it was written, the end is known. In
every other case the calls are replayed, which mends whatever is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from codeclm import __version__, run_directory
from codeclm.config import MethodConfig
from codeclm.errors import EmptyReply, Refused, Truncated, Unparseable
from codeclm.journal import Journal
from codeclm.part_names import is_own
from codeclm.parts import part_name

Manifest = Mapping[str, Any]

WRITTEN: Final = (
    run_directory.EXAMPLES, run_directory.PREFERENCES, run_directory.DISCARDED, run_directory.FAILURES,
    run_directory.METADATA, run_directory.EXAMPLES_PARQUET, run_directory.CARD,
)  # fmt: skip
"""The files that a run is finished with, beside its manifest."""

# What a model replied, which another run would only read again. All other failures are tried anew by any run.
_SETTLED: Final = frozenset(kind.cause for kind in (Unparseable, Truncated, EmptyReply, Refused))
_COUNTED: Final = ("stage", "model", "calls", "prompt_tokens", "completion_tokens")


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each of the files :data:`WRITTEN` that is there, by name."""
    return {name: run_directory.sha256(folder / name) for name in WRITTEN if (folder / name).exists()}


def nothing_to_do(folder: Path, earlier: Manifest, now: Manifest, *, method: MethodConfig, journal: Journal) -> bool:
    """Whether the run that left the manifest ``earlier`` in ``folder`` came to what running it now would come to.

    ``now`` is the manifest as of now, before anything is done. Parts of the user's own may have changed since, and a
    journal that runs share tells of the others too: those are always run again.
    """
    same = ("size", "seed", "config_sha256", "inputs_sha256")
    if earlier.get("state") != "complete" or earlier.get("codeclm") != __version__ or journal.uses:
        return False
    if any(earlier.get(key) != now[key] for key in same) or not _SETTLED.issuperset(earlier["failures_by_cause"]):
        return False
    if any(is_own(part_name(method, kind) or "codeclm.") for kind in ("source", "tailor", "filter")):
        return False
    files = earlier.get("files") or {}
    if _counted(earlier) != _counted(now) or (run_directory.EXAMPLES_PARQUET in files) != bool(find_spec("pyarrow")):
        return False
    try:
        return bool(files) and digests(folder) == files
    except OSError:
        return False


def _counted(manifest: Manifest) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[key] for key in _COUNTED) for row in manifest["calls"])
