"""A run in a few figures, from its manifest: what the list of runs and the run's page show.

A manifest may be of any age, and anybody's: what is not of the kind it should be is left out, and told where it is all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from codeclm import run_directory
from codeclm.errors import RunDirectoryError
from codeclm.studio.folders import STARTED_FROM, Run

State = Literal["running", "complete", "stopped", "failed", "killed", "broken"]

STATES: Final[Mapping[State, str]] = {
    "running": "running",
    "complete": "complete",
    "stopped": "stopped",
    "failed": "failed",
    "killed": "killed",
    "broken": "not readable",
}

AUDIT: Final = "audit.json"
EVALUATION: Final = "evaluation.json"
REPORT: Final = "report.html"

_LARGEST_MANIFEST: Final = 4 * 2**20  # bytes
_TOO_LARGE: Final = 1e18
_SIMULATOR: Final = "simulator"


@dataclass(frozen=True, slots=True)
class StageCalls:
    """The recorded calls of one stage to one model; ``seconds`` is the sum of their latencies."""

    stage: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float

    @property
    def mean_seconds(self) -> float:
        """Seconds per call."""
        return self.seconds / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run is and how far it came. Counts are as in manifest.json.

    ``changed`` is when its manifest was last written, in seconds since 1970, 0 where there is none; ``usd`` what was
    spent, None where a price is not known; ``note`` what ended it early, or why it can't be read.
    """

    run: Run
    state: State
    note: str = ""
    size: int = 0
    published: int = 0
    method: str = ""
    compares: bool = True
    simulated: bool = False
    models: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    kept_by_iteration: Mapping[str, int] = field(default_factory=dict)
    failures_by_cause: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
    mean_gap: float | None = None
    threshold: float | None = None
    kept_target_answers: int = 0
    calls: tuple[StageCalls, ...] = ()
    shared_calls: int | None = None
    usd: float | None = None
    usd_used: float | None = None
    changed: float = 0.0
    version: str = ""
    seed: int | None = None
    files: frozenset[str] = frozenset()

    @property
    def kept(self) -> int:
        """Examples so far."""
        return self.counts.get("kept", 0)

    @property
    def tokens(self) -> int:
        """Tokens in and out of all recorded calls."""
        return sum(row.prompt_tokens + row.completion_tokens for row in self.calls)

    @property
    def calls_made(self) -> int:
        """How many calls are recorded."""
        return sum(row.calls for row in self.calls)

    @property
    def call_rows(self) -> list[tuple[str, str, int, int, int, float]]:
        """The rows of the table of calls: stage, model, calls, tokens in and out, seconds per call."""
        return [
            (row.stage, row.model, row.calls, row.prompt_tokens, row.completion_tokens, round(row.mean_seconds, 2))
            for row in self.calls
        ]

    @property
    def has(self) -> tuple[str, ...]:
        """What was made of the run beside it."""
        made = {"report": REPORT, "audit": AUDIT, "evaluation": EVALUATION, "edits": run_directory.EDITS}
        return tuple(name for name, file in made.items() if file in self.files)

    @property
    def named_models(self) -> tuple[tuple[str, str], ...]:
        """Each role and its model, without a judge that is the strong model."""
        return tuple(
            (role, model)
            for role, model in sorted(self.models.items(), key=lambda item: _ORDER.get(item[0], 9))
            if role != "judge" or model != self.models.get("strong")
        )


_ORDER: Final = {"strong": 0, "target": 1, "judge": 2}
_KNOWN_FILES: Final = (
    AUDIT, EVALUATION, REPORT, run_directory.EXAMPLES, run_directory.DISCARDED, run_directory.FAILURES,
    run_directory.EDITS, run_directory.CARD, run_directory.METADATA,
)  # fmt: skip


def summary_of(run: Run) -> Summary:
    """The run's summary; never an error: what can't be read is told in it."""
    if run.problem:
        return Summary(run, "broken", run.problem)
    path = run.folder / run_directory.MANIFEST
    try:
        status = path.stat()
        if status.st_size > _LARGEST_MANIFEST:
            return Summary(run, "broken", f"{run_directory.MANIFEST} has {status.st_size:,} bytes: no manifest.")
        manifest = run_directory.read_manifest(run.folder)
    except FileNotFoundError:
        return _without_manifest(run)
    except (OSError, RunDirectoryError) as error:
        return Summary(run, "broken", str(error))
    if manifest is None:
        return _without_manifest(run)
    state = run_directory.state_of(run.folder, manifest)
    known = frozenset(name for name in _KNOWN_FILES if (run.folder / name).exists())
    if state not in STATES:
        return Summary(run, "broken", f"{run_directory.MANIFEST} holds a state that no run has.", files=known)
    return _summary(run, manifest, state, status.st_mtime, known)


def _without_manifest(run: Run) -> Summary:
    """A run that has not come so far as to write one."""
    if run_directory.is_held(run.folder):
        return Summary(run, "running", changed=_changed(run.folder))
    if (run.folder / STARTED_FROM).exists():
        return Summary(run, "failed", "It ended before it began. Its log says why.", changed=_changed(run.folder))
    return Summary(run, "broken", f"There is no {run_directory.MANIFEST}. Run the config again to have it anew.")


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _summary(run: Run, manifest: Mapping[str, Any], state: str, changed: float, files: frozenset[str]) -> Summary:
    method = _mapping(manifest.get("method"))
    models = _mapping(manifest.get("models"))
    return Summary(
        run=run,
        state=state,  # type: ignore[arg-type]  # looked at by the caller
        note=text_in(manifest, "error"),
        size=count_in(manifest, "size"),
        published=count_in(manifest, "examples"),
        method=text_in(method, "name"),
        compares=method.get("judging") == "pairwise" or "judging" not in method,
        simulated=any(_mapping(model).get("base_url") == _SIMULATOR for model in models.values()),
        models={role: text_in(_mapping(model), "model") for role, model in models.items()},
        counts=counts_in(manifest, "counts"),
        kept_by_iteration=counts_in(manifest, "kept_by_iteration"),
        failures_by_cause=counts_in(manifest, "failures_by_cause"),
        faults=counts_in(manifest, "faults"),
        mean_gap=number_in(manifest, "mean_gap"),
        threshold=number_in(method, "threshold"),
        kept_target_answers=count_in(manifest, "kept_target_answers"),
        calls=tuple(_calls(manifest.get("calls"))),
        shared_calls=count_in(manifest, "shared_calls") if "shared_calls" in manifest else None,
        usd=number_in(manifest, "usd"),
        usd_used=number_in(manifest, "usd_used"),
        changed=changed,
        version=text_in(manifest, "codeclm"),
        seed=count_in(manifest, "seed") if "seed" in manifest else None,
        files=files,
    )


def _calls(value: Any) -> list[StageCalls]:
    rows = value if isinstance(value, list) else []
    return [
        StageCalls(
            text_in(row, "stage"),
            text_in(row, "model"),
            count_in(row, "calls"),
            count_in(row, "prompt_tokens"),
            count_in(row, "completion_tokens"),
            number_in(row, "seconds") or 0.0,
        )
        for row in rows
        if isinstance(row, dict)
    ]


def read_object(path: Path, largest: int = _LARGEST_MANIFEST) -> dict[str, Any]:
    """The JSON object in a file; empty where there is none that can be read."""
    try:
        if path.stat().st_size > largest:
            return {}
        value = orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def text_in(values: Mapping[str, Any], name: str) -> str:
    """The text of this name; empty where it is none."""
    value = values.get(name)
    return value if isinstance(value, str) else ""


def count_in(values: Mapping[str, Any], name: str) -> int:
    """The whole number of this name; 0 where it is none."""
    value = values.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def number_in(values: Mapping[str, Any], name: str) -> float | None:
    """The finite number of this name; None where it is none."""
    value = values.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) and abs(value) < _TOO_LARGE else None


def counts_in(values: Mapping[str, Any], name: str) -> dict[str, int]:
    """The mapping from names to whole numbers of this name."""
    found = _mapping(values.get(name))
    return {key: count_in(found, key) for key in found}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
