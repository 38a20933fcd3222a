"""The data model: frozen records and nothing else.

Two groups. What travels to a model and back: Message, Request, Completion, Usage. What the method works on: Seed,
Metadata, Entry, Rubric, Instruction, Answers, Comparison, Iteration, Outcome, Example (METHOD.md's words). Records are
plain data: they hold no clients, no configuration and no behaviour beyond derived properties.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "content_filter"]
Side = Literal["strong", "target"]
Status = Literal["kept", "discarded", "failed", "duplicate", "surplus"]
ReplyForm = Literal["json", "text"]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A JSON schema a reply must satisfy, with the name the API wants beside it."""

    name: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One model call, before it knows which endpoint it goes to.

    ``sample`` tells apart several answers wanted to the same messages (sent as ``seed``); ``attempt`` counts how often
    the very same question was asked again because a reply could not be used (never sent). ``stage`` is for the record
    only and changes no answer. With a ``continuation`` nothing is to be written: asked is how likely the model finds
    that text after the messages' own, taken as it is (clients/likelihood.py).
    """

    messages: tuple[Message, ...]
    temperature: float
    schema: Schema | None = None
    sample: int = 0
    attempt: int = 0
    stage: str = ""
    continuation: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; 0 where it did not say."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens - other.prompt_tokens, self.completion_tokens - other.completion_tokens)

    @property
    def total(self) -> int:
        """Tokens of both kinds together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered. ``reasoning`` is its thinking, kept apart and never trained on; ``latency`` in seconds."""

    text: str
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()
    reasoning: str = ""
    refusal: str = ""
    latency: float = 0.0


@dataclass(frozen=True, slots=True)
class Seed:
    """One instruction of the user's task. ``id`` is ``file:line`` or the row's own id."""

    id: str
    instruction: str

    @property
    def name(self) -> str:
        """What random draws go by: a digest of the text alone, so that a file may be renamed and rows added to it."""
        text = self.instruction.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an instruction is about: one use case and the skills it takes (section 3.1)."""

    use_case: str
    skills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EncodeExample:
    """An instruction and the metadata it should be read as: what encode is shown in the place of its own examples."""

    instruction: str
    metadata: Metadata

    @property
    def words(self) -> str:
        """What tells its instruction from others, also after a spreadsheet: the text with its white space alike."""
        return " ".join(self.instruction.split())


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the metadata pool. ``seed_ids`` are the seeds it was read from; none for a mixed entry.

    ``first_seed`` is the name of the first of these seeds.
    """

    id: str
    metadata: Metadata
    seed_ids: tuple[str, ...] = ()
    first_seed: str = ""

    @property
    def name(self) -> str:
        """What random draws go by. That of a seed's entry is known before any entry is."""
        return self.first_seed or self.id


@dataclass(frozen=True, slots=True)
class Rubric:
    """One way in which an instruction can be difficult, and the action that makes it more so (section 3.2)."""

    rubric: str
    action: str


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction on its way; ``action`` is what improved it, empty for a basic one."""

    text: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's answer. ``truncated`` ones are judged, but never kept: only rejected, in a preference.

    ``model`` is who wrote it, where several strong models answer; else empty.
    """

    text: str
    truncated: bool = False
    model: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores 1-10 of the strong and the target model's answers, in both orders (section 3.3).

    ``strong_first`` are (strong, target) as scored with the strong answer shown first, ``target_first`` the same pair
    with the target's shown first.
    """

    strong_first: tuple[float, float]
    target_first: tuple[float, float]

    @property
    def strong(self) -> float:
        """The strong answer's score: the mean over the two orders."""
        return (self.strong_first[0] + self.target_first[0]) / 2

    @property
    def target(self) -> float:
        """The target answer's score: the mean over the two orders."""
        return (self.strong_first[1] + self.target_first[1]) / 2

    @property
    def gap(self) -> float:
        """G(I) = S(strong) - S(target); positive where the strong model is better."""
        return round(self.strong - self.target, 6)  # so that 8.3 - 5.3 is 3


@dataclass(frozen=True, slots=True)
class Iteration:
    """One time round: the instruction, its answers, how they compare, and what was decided.

    A method that does not compare has no target answer and no comparison; one that only goes on to make the instruction
    harder has no answer either. ``chosen`` is whose answer is kept if this is the end. ``reason`` says why the
    instruction does not pass, and is empty where it does. ``measures`` are further figures, by name, that were taken on
    the way: a rating, the judges' disagreement.
    """

    instruction: Instruction
    strong: Answer | None = None
    target: Answer | None = None
    comparison: Comparison | None = None
    chosen: Side = "strong"
    reason: str = ""
    measures: tuple[tuple[str, float], ...] = ()

    @property
    def passes(self) -> bool:
        """Whether the instruction becomes an example as it is now."""
        return not self.reason

    @property
    def kept(self) -> Answer:
        """The chosen answer. Raises ValueError where there is none, which no iteration that passes may lack."""
        answer = self.strong if self.chosen == "strong" else self.target
        if answer is None:
            raise ValueError(f"there is no answer of the {self.chosen} model")
        return answer

    @property
    def gap(self) -> float | None:
        """The comparison's gap; None where nothing was compared."""
        return self.comparison.gap if self.comparison else None

    def decided(self, threshold: float) -> Iteration:
        """The iteration as Contrastive Filtering decides it (section 3.3): the better answer, if the gap is wide.

        It passes where the gap is larger than the threshold, strictly and either way, and the better answer is whole.
        Without a comparison it is as it was.
        """
        if self.comparison is None:
            return self
        gap = self.comparison.gap
        better = replace(self, chosen="strong" if gap > 0 else "target", reason="")
        if abs(gap) <= threshold:
            return replace(better, reason="gap within the threshold")
        return replace(better, reason="the better answer was cut off") if better.kept.truncated else better


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something did not come to an end: a stage, a cause, how often it was tried, and the raw text that came."""

    stage: str
    cause: str
    message: str
    attempts: int = 1
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one instruction's journey.

    ``iterations`` are complete ones in order. ``reason`` says why a discarded, duplicate or surplus instruction is not
    an example; ``failure`` is set for failed ones. An outcome with no ``basic`` instruction is a slot whose decoding
    failed.
    """

    id: str
    status: Status
    entry: Entry
    basic: str = ""
    iterations: tuple[Iteration, ...] = ()
    failure: Failure | None = None
    reason: str = ""

    @property
    def final(self) -> Iteration:
        """The iteration that decided."""
        return self.iterations[-1]


@dataclass(frozen=True, slots=True)
class Slot:
    """A unit of work: one entry of the pool, decoded for the ``chunk``-th time."""

    index: int
    entry: Entry
    chunk: int


@dataclass(frozen=True, slots=True)
class SlotResult:
    """Everything a slot came to, in the order its instructions were decoded."""

    slot: Slot
    outcomes: tuple[Outcome, ...] = field(default=())
