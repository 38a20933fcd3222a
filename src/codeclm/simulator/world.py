"""The simulated world: what a simulated model replies.

A reply is a pure function of the model's definition, the messages, the seed (above temperature 0 only) and the reply
form. The prompts of codeclm get the reply they ask for; every other message is an instruction and gets answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from codeclm.prompts.templates import BUILT_IN, PromptRead, Templates, read
from codeclm.records import ReplyForm
from codeclm.simulator import baselines, judging, writing
from codeclm.simulator.answers import answer
from codeclm.simulator.draws import Draws
from codeclm.simulator.models import SimulatedModel
from codeclm.simulator.reply_texts import as_json, metadata_of, numbered
from codeclm.simulator.requirements import likely_skills, likely_use_case

Fields = Mapping[str, str]
Reply = Callable[[SimulatedModel, Fields, ReplyForm, int], str]


class World(Protocol):
    """What plays the models behind the simulator's server: :func:`reply`, or a function of one's own."""

    def __call__(
        self,
        model: SimulatedModel,
        messages: Sequence[Mapping[str, Any]],
        /,
        *,
        temperature: float,
        seed: int,
        templates: Templates,
    ) -> str:
        """What ``model`` says; a pure function of its arguments, of the seed only above temperature 0."""


UNREASONABLE = 0.2
"""The share of pairs of a use case and skills that do not belong together."""


def reply(
    model: SimulatedModel,
    messages: Sequence[Mapping[str, Any]],
    *,
    temperature: float,
    seed: int,
    templates: Templates = BUILT_IN,
) -> str:
    """What ``model`` says to ``messages`` (each a mapping with ``role`` and ``content``)."""
    prompt = prompt_of(messages, templates)
    sample = seed if temperature > 0 else 0
    if prompt is not None:
        return _REPLIES[prompt.name](model, prompt.fields, prompt.form, sample)
    *before, last = [_content(message) for message in messages] or [""]
    return answer(model, last, "\x1e".join(before), sample)


def free_text(model: SimulatedModel, messages: Sequence[Mapping[str, Any]], *, temperature: float, seed: int) -> str:
    """What ``model`` puts where a question it does not know, a part's own, wants some text: a new instruction.

    It is of the kind that the question's words bring to mind.
    """
    asked = "\n".join(map(_content, messages))
    draws = Draws("free text", model.name, asked, seed if temperature > 0 else 0)
    return writing.basics(likely_use_case(asked, draws), likely_skills(asked, 2, draws), 1, draws)[0]


def prompt_of(messages: Sequence[Mapping[str, Any]], templates: Templates = BUILT_IN) -> PromptRead | None:
    """The codeclm prompt that the last message is; None when it is something else."""
    return read(_content(messages[-1]), templates) if messages else None


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(str(part.get("text", "")) for part in content)


def _encode(model: SimulatedModel, fields: Fields, form: ReplyForm, sample: int) -> str:
    text = fields["instruction"]
    draws = Draws("encode", text, sample)
    allowed = [line.split(": ", 1)[1].split("; ") for line in fields["allowed"].splitlines()]
    use_case = likely_use_case(text, draws)
    skills = likely_skills(text, int(fields["max_skills"]), draws)
    use_case = _within(use_case, allowed[0], text)
    skills = list(dict.fromkeys(_within(skill, allowed[1], text) for skill in skills))
    if form == "json":
        return as_json(use_case=use_case, skills=skills)
    return f"Use case: {use_case}\nSkills: {', '.join(skills)}"


def _within(name: str, allowed: Sequence[str], text: str) -> str:
    """``name``, or the allowed one that has most words in common with it, else with the text."""
    if allowed == ["any"] or name in allowed:
        return name
    near, far = set(name.split()), set(text.lower().split())

    def closeness(choice: str) -> tuple[int, int, float]:
        found = set(choice.lower().split())
        return len(found & near), len(found & far), Draws("within", name, choice, text).unit()

    return max(allowed, key=closeness)


def _reasonable(model: SimulatedModel, fields: Fields, form: ReplyForm, sample: int) -> str:
    verdict = Draws("reasonable", fields["metadata"]).unit() >= UNREASONABLE
    return as_json(reasonable=verdict) if form == "json" else "yes" if verdict else "no"


def _decode(model: SimulatedModel, fields: Fields, form: ReplyForm, sample: int) -> str:
    use_case, skills = metadata_of(fields)
    draws = Draws("decode", model.name, fields["metadata"], sample)
    instructions = writing.basics(use_case, skills, int(fields["count"]), draws)
    return as_json(instructions=instructions) if form == "json" else numbered(instructions)


def _rubrics(model: SimulatedModel, fields: Fields, form: ReplyForm, sample: int) -> str:
    _, skills = metadata_of(fields)
    draws = Draws("rubrics", model.name, fields["metadata"], sample)
    pairs = writing.rubrics(skills, int(fields["count"]), draws)
    if form == "json":
        return as_json(rubrics=[{"rubric": rubric, "action": action} for rubric, action in pairs])
    return numbered([f"Rubric: {rubric}\nAction: {action}" for rubric, action in pairs])


def _improve(model: SimulatedModel, fields: Fields, form: ReplyForm, sample: int) -> str:
    _, skills = metadata_of(fields)
    draws = Draws("improve", model.name, *fields.values(), sample)
    text = writing.improved(fields["instruction"], skills, fields["action"], draws)
    return as_json(instruction=text) if form == "json" else f"Instruction: {text}"


def _probe(model: SimulatedModel, fields: Fields, form: ReplyForm, sample: int) -> str:
    return as_json(ready=True) if form == "json" else "yes"


_REPLIES: Mapping[str, Reply] = {
    **baselines.REPLIES,
    **judging.REPLIES,
    "encode": _encode,
    "encode_like": _encode,
    "reasonable": _reasonable,
    "decode": _decode,
    "rubrics": _rubrics,
    "improve": _improve,
    "probe": _probe,
}
