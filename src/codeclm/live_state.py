"""A run's state while it works: its rates, all of it as plain values, and the file that tells it to who looks on.

Contract. The file ``.live.json`` is there while a run works. It is written anew each second by a thread that only reads
the run's Progress and decides nothing. It is always whole, and taken away at the end; a kill may leave it, so who
reads it asks the lock whether a run is at work. Where it can't be written the run goes on without it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from codeclm import endpoint_states
from codeclm.progress import Progress

NAME: Final = ".live.json"

_GENERATING: Final = ("generate", "select", "write", "done", "stopped")
PHASES: Final[Mapping[str, str]] = {
    "connect": "connecting to the models",
    "encode": "encoding seeds",
    "mix": "mixing and matching metadata",
    "generate": "generating",
    "select": "selecting",
    "write": "writing files",
    "measure": "measuring",
    "evaluate": "evaluating",
    "done": "done",
    "stopped": "stopped",
}
"""What a run does in each phase, for people."""

_EVERY: Final = 1.0  # seconds between two writings
_SLOTS_FOR_ETA: Final = 3
_RATE_OVER: Final = 20.0  # seconds that a rate is the mean of


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    calls: int
    tokens: int
    found: int
    measured: int


class Rates:
    """Per-second rates over the last seconds, from samples of a Progress."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()
        self._phase = ""

    def sample(self, progress: Progress, now: float) -> None:
        """Take note of where the run is at ``now`` (seconds of any steady clock); each phase has rates of its own."""
        calls = progress.calls
        if progress.phase != self._phase and progress.phase in ("encode", "generate", "measure", "evaluate"):
            self._samples.clear()
        self._phase = progress.phase
        tokens = calls.prompt_tokens + calls.completion_tokens
        self._samples.append(_Sample(now, calls.made, tokens, progress.found, progress.measured))
        while len(self._samples) > 2 and now - self._samples[1].at > _RATE_OVER:
            self._samples.popleft()

    def per_second(self, what: Literal["calls", "tokens", "found", "measured"]) -> float:
        """The rate, 0 while there is only one sample."""
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        return float(getattr(last, what) - getattr(first, what)) / max(last.at - first.at, 1e-9)

    def eta(self, progress: Progress) -> float | None:
        """Seconds until the run has enough at the present rate; None while there is no telling."""
        if progress.to_measure:
            rate, known, left = self.per_second("measured"), True, progress.to_measure - progress.measured
        else:
            rate, known = self.per_second("found"), progress.slots >= _SLOTS_FOR_ETA
            left = progress.goal - progress.found
        return left / rate if rate > 0 and known else None


@contextmanager
def told(folder: Path, progress: Progress, stopping: Callable[[], bool]) -> Iterator[None]:
    """Tell the run's state in ``folder`` meanwhile; ``stopping`` is whether it was asked to stop."""
    path = folder / NAME
    ended = threading.Event()
    rates = Rates()

    def write() -> None:
        rates.sample(progress, time.monotonic())
        done, total = where(progress)
        values = as_values(progress, rates) | {
            "elapsed_seconds": round(time.monotonic() - progress.started, 1),
            "seeds": progress.seeds,
            "published": progress.published,
            "done": done,
            "total": total,
            "of_what": of_what(progress),
            "found_per_minute": round(60 * rates.per_second("found"), 2),
            "tokens_made": progress.calls.prompt_tokens + progress.calls.completion_tokens,
            "stopping": stopping(),
            "notes": {
                "spent": endpoint_states.spent(progress.budget) if progress.budget else "",
                "limits": endpoint_states.limits(progress.calls),
                "workers": endpoint_states.workers(progress.calls),
                "dashboard": progress.calls.workers.dashboard if progress.calls.workers else "",
                "starting": endpoint_states.starting(progress.calls),
                "out of order": endpoint_states.out_of_order(progress.calls),
            },
        }
        partial = path.with_name(f"{NAME}.partial")
        partial.write_bytes(orjson.dumps(values))
        partial.replace(path)

    def work() -> None:
        while True:
            # The run changes what is read here meanwhile; what can't be read this time can be the next.
            with suppress(OSError, RuntimeError):
                write()
            if ended.wait(_EVERY):
                return

    teller = threading.Thread(target=work, name="codeclm-live", daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
        with suppress(OSError):
            path.unlink(missing_ok=True)


def as_values(progress: Progress, rates: Rates) -> dict[str, Any]:
    """The run's state as plain values."""
    calls = progress.calls
    return {
        "phase": progress.phase,
        "size": progress.size,
        "encoded": progress.encoded,
        **({"measured": progress.measured, "to_measure": progress.to_measure} if progress.to_measure else {}),
        **progress.summary(),
        "calls_made": calls.made,
        "calls_replayed": calls.replayed,
        "in_flight": calls.in_flight,
        "parked": calls.parked,
        "batches": len(calls.batches),
        "retries": dict(calls.retries),
        **endpoint_states.as_values(calls, progress.budget),
        "calls_per_second": round(rates.per_second("calls"), 2),
        "tokens_per_second": round(rates.per_second("tokens"), 1),
        "eta_seconds": None if (eta := rates.eta(progress)) is None else round(eta, 1),
    }


def where(progress: Progress) -> tuple[int, int]:
    """How far it is, and of how many: examples, or candidates for them; seeds encoded before there can be any."""
    if progress.to_measure:
        return progress.measured, progress.to_measure
    if progress.gathering:
        return progress.found, progress.goal
    if progress.phase in _GENERATING:
        return progress.kept, progress.size
    return progress.encoded, max(progress.seeds, 1)


def of_what(progress: Progress) -> str:
    """What :func:`where` counts, for people."""
    if progress.to_measure:
        return "comparisons" if progress.phase == "evaluate" else "questions"
    return "candidates" if progress.gathering else "kept" if progress.phase in _GENERATING else "seeds encoded"
