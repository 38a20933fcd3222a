"""What a run, its audit and its evaluations wrote as JSON, read for a report: only what it shows, each with its type.

Files may be edited, old or foreign. What a file lacks has a default, what it has beside is ignored, and what is of
another type is an error with the file and the key: :class:`~codeclm.errors.RunDirectoryError`. Texts and lists are
clipped: a page has room for so much only. What tells of the machine is taken out of them (sendable.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, ValidationError

from codeclm import run_directory
from codeclm.config import SIMULATOR
from codeclm.errors import RunDirectoryError
from codeclm.prices import Price, cost, dearer
from codeclm.records import Usage
from codeclm.reporting.sendable import sendable

# Named here too: the modules that write them are heavy, and a report takes long enough.
AUDIT: Final = "audit.json"
EVALUATION: Final = "evaluation.json"
FOLDER: Final = "evaluations"

EVALUATIONS: Final = 24
"""Evaluations that a report shows, at most: the first ones by their folders' names."""


_LONGEST = 600  # characters of any text
_MOST = 60  # items of any list


def _clipped(text: str) -> str:
    text = sendable(text[: 2 * _LONGEST])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _first(checks: dict[str, CheckFound]) -> dict[str, CheckFound]:
    return dict(islice(checks.items(), _MOST))


Text = Annotated[str, AfterValidator(_clipped)]


class Part(BaseModel):
    """A part of a JSON file: what is not asked for is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StageCalls(Part):
    """The recorded calls of one stage to one model; ``seconds`` is the sum of their latencies."""

    stage: Text
    model: Text
    calls: NonNegativeInt
    prompt_tokens: NonNegativeInt = 0
    completion_tokens: NonNegativeInt = 0
    seconds: FiniteFloat = 0.0


class ModelUsed(Part):
    """A model by the name it was asked under; its address is read only to tell the simulator, and not shown."""

    model: Text
    base_url: Text = ""


class _ListedPrice(Part):
    input: Decimal
    output: Decimal


class Spending(Part):
    """What one endpoint may have charged; ``price`` in dollars per million tokens, None where nobody knows it."""

    model: Text
    requests: NonNegativeInt = 0
    unknown_prompt_tokens: NonNegativeInt = 0
    unknown_completion_tokens: NonNegativeInt = 0
    usd: FiniteFloat | None = None
    price: _ListedPrice | None = None


class Manifest(Part):
    """manifest.json; codeclm/manifest.py says what each figure is."""

    codeclm: Text = ""
    state: Text
    error: Text = ""
    size: NonNegativeInt = 0
    counts: dict[Text, NonNegativeInt] = Field(default_factory=dict)
    models: dict[Text, ModelUsed] = Field(default_factory=dict)
    method: dict[Text, Any] = Field(default_factory=dict)
    seed: int | None = None
    calls: Annotated[tuple[StageCalls, ...], AfterValidator(lambda rows: rows[:_MOST])] = ()
    shared_calls: NonNegativeInt | None = None
    usd_used: FiniteFloat | None = None
    faults: dict[Text, NonNegativeInt] = Field(default_factory=dict)
    spending: tuple[Spending, ...] = ()
    usd: FiniteFloat | None = None
    config_sha256: Text = ""
    seeds_sha256: Text = ""

    @property
    def simulated(self) -> bool:
        """Whether the built-in simulator stood in for any of the models."""
        return any(model.base_url == SIMULATOR for model in self.models.values())

    def dollars(self, calls: StageCalls) -> float | None:
        """What these calls cost, the dearest where a model's name has several prices; None where one is unknown."""
        rows = [row for row in self.spending if row.model == calls.model]
        prices = [Price(row.price.input, row.price.output, "") for row in rows if row.price]
        if not prices or len(prices) < len(rows):
            return None
        dearest = prices[0]
        for price in prices[1:]:
            dearest = dearer(dearest, price)
        return float(cost(dearest, Usage(calls.prompt_tokens, calls.completion_tokens)))


class LikenessFound(Part):
    """How names of examples lie to the seeds'; codeclm/auditing/fidelity.py."""

    distance: FiniteFloat | None = None
    coverage: FiniteFloat | None = None
    missing: tuple[Text, ...] = ()
    missing_count: NonNegativeInt = 0


class _FidelityFound(Part):
    use_cases: LikenessFound = LikenessFound()
    skills: LikenessFound = LikenessFound()
    entries: NonNegativeInt = 0
    entries_covered: NonNegativeInt = 0


class _DiversityFound(Part):
    sampled: NonNegativeInt = 0
    distinct_2: FiniteFloat | None = None
    self_bleu: FiniteFloat | None = None
    vendi: FiniteFloat | None = None


class CheckFound(Part):
    """A check of an audit: None where it was not made, which ``not_done`` then says."""

    findings: NonNegativeInt | None = None
    examples: NonNegativeInt | None = None
    share: FiniteFloat | None = None
    not_done: Text = ""


class LevelFound(Part):
    """What the judge said of the difficulty of the examples kept in an iteration, 1 to 10; None where not asked."""

    iteration: int
    difficulty: FiniteFloat | None = None


class AuditFound(Part):
    """audit.json; docs/audit.md says what each figure is."""

    examples: NonNegativeInt
    fidelity: _FidelityFound = _FidelityFound()
    diversity: _DiversityFound = _DiversityFound()
    complexity: tuple[LevelFound, ...] = ()
    checks: Annotated[dict[Text, CheckFound], AfterValidator(_first)] = Field(default_factory=dict)


class _OtherRule(Part):
    rule: Text = ""
    crr: FiniteFloat | None = None


class _PositionFound(Part):
    lean: FiniteFloat | None = None


class EvaluationFound(Part):
    """An evaluation.json of the judge's; docs/evaluation.md says what each figure is."""

    benchmark: Text
    candidate: Text
    reference: Text
    rule: Text = ""
    items: NonNegativeInt = 0
    wins: NonNegativeInt
    ties: NonNegativeInt
    losses: NonNegativeInt
    invalid: NonNegativeInt = 0
    crr: FiniteFloat | None = None
    crr_interval: tuple[FiniteFloat, FiniteFloat] | None = None
    win_rate: FiniteFloat | None = None
    other_rule: _OtherRule = _OtherRule()
    position: _PositionFound = _PositionFound()


_Read = TypeVar("_Read", bound=Part)


def read_manifest(folder: Path) -> Manifest | None:
    """The run's manifest; None where no run has come so far."""
    return read_json(folder / run_directory.MANIFEST, Manifest)


def read_audit(folder: Path) -> AuditFound | None:
    """The run's audit; None where it had none."""
    return read_json(folder / AUDIT, AuditFound)


def read_evaluations(folder: Path) -> Iterator[EvaluationFound]:
    """The evaluations in the run's directory, at most :data:`EVALUATIONS`, and not those of other programs."""
    paths = sorted(folder.glob(f"{FOLDER}/*/*-vs-*/{EVALUATION}"))
    if not paths:  # an evaluation.json alone, as others may leave it
        paths = [folder / EVALUATION]
    for path in paths[:EVALUATIONS]:
        if found := read_json(path, EvaluationFound):
            yield found


def read_json(path: Path, kind: type[_Read], remedy: str = "have it written anew") -> _Read | None:
    """What a JSON file holds; None where there is none. Raises RunDirectoryError, with the key that is wrong."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunDirectoryError(f"{path}: can't read it ({error.strerror}). Mend its permissions.") from None
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise RunDirectoryError(f"{path}: {key:.80}: {first['msg']:.120}. Move it away, and {remedy}.") from None
