"""What is asked of a model, and what counts as a reply: one function per prompt.

A :class:`Question` bundles a template's fields with the JSON schema of its reply and the two strict readers of it. The
readers take a completion's text and raise :class:`~codeclm.errors.Unparseable` for anything but a reply in that form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from codeclm.errors import Unparseable
from codeclm.prompts.own_templates import problems_in
from codeclm.prompts.parsers import comma_list, json_object, labelled, numbered_list, yes_no
from codeclm.prompts.scores import score_pair
from codeclm.prompts.templates import BUILT_IN, Fields, Templates, kind_of, render
from codeclm.records import EncodeExample, Message, Metadata, ReplyForm, Rubric, Schema

T = TypeVar("T")

ANY = "any"

STRING = {"type": "string"}
NUMBER = {"type": "number"}


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A prompt with its fields, and how to read a reply to it in either form.

    ``from_text`` is told whether the token limit cut the text off. ``template`` is the prompt's text where it is a
    part's own; ValueError where that is not a sound one (own_templates.py). ``stage`` is what its calls are counted as,
    the prompt's name unless given.
    """

    name: str
    fields: Fields
    schema: Schema
    from_json: Callable[[str], T]
    from_text: Callable[[str, bool], T]
    template: str = ""
    stage: str = ""

    def __post_init__(self) -> None:
        if not self.template:
            return
        kinds = tuple((name, kind_of(value)) for name, value in self.fields.items())
        if problems := problems_in(self.template, kinds):
            found = "; ".join(f"line {line}: {what}" if line else what for line, what in problems)
            raise ValueError(f"the template of the question {self.name}: {found}")

    def messages(self, form: ReplyForm, templates: Templates = BUILT_IN) -> tuple[Message, ...]:
        """What is sent when a reply in ``form`` is wanted."""
        own = Templates(((self.name, self.template),)) if self.template else templates
        return render(self.name, form, self.fields, own)

    def parse(self, text: str, form: ReplyForm, *, truncated: bool = False) -> T:
        """The reply's meaning, or Unparseable."""
        try:
            return self.from_json(text) if form == "json" else self.from_text(text, truncated)
        except Unparseable as error:
            error.raw = text  # the whole of it, where only a part could not be read
            raise


def encode(
    instruction: str, *, max_skills: int = 3, use_cases: Sequence[str] = (), skills: Sequence[str] = ()
) -> Question[Metadata]:
    """Which use case and skills does an instruction have (section 3.1)?

    ``use_cases`` and ``skills`` bound what may be chosen; empty ones allow anything.
    """

    def build(use_case: str, found: Sequence[str], raw: str) -> Metadata:
        chosen = _within(use_case, use_cases, raw)
        return metadata(chosen, [_within(skill, skills, raw) for skill in found], max_skills=max_skills, raw=raw)

    def from_json(text: str) -> Metadata:
        reply = json_object(text, {"use_case": str, "skills": list})
        return build(reply["use_case"], strings(reply["skills"], text), text)

    def from_text(text: str, truncated: bool) -> Metadata:
        whole(text, truncated)
        reply = labelled(text, "use case", "skills")
        return build(reply["use case"], comma_list(reply["skills"]), text)

    allowed = f"use cases: {'; '.join(use_cases) or ANY}\nskills: {'; '.join(skills) or ANY}"
    schema = object_schema(
        "metadata",
        use_case=STRING | ({"enum": list(use_cases)} if use_cases else {}),
        skills={"type": "array", "items": STRING | ({"enum": list(skills)} if skills else {})},
    )
    fields: Fields = {"max_skills": max_skills, "allowed": allowed, "instruction": instruction}
    return Question("encode", fields, schema, from_json, from_text)


def encode_like(
    instruction: str,
    examples: Sequence[EncodeExample],
    *,
    max_skills: int = 3,
    use_cases: Sequence[str] = (),
    skills: Sequence[str] = (),
) -> Question[Metadata]:
    """The question of :func:`encode`, with ``examples`` in the place of the built-in ones.

    Each of their texts is on one line, an instruction as a JSON string: none can pass for another example.
    """
    asked = encode(instruction, max_skills=max_skills, use_cases=use_cases, skills=skills)
    fields = {**asked.fields, "examples": "\n\n".join(map(_example_block, examples))}
    return replace(asked, name="encode_like", fields=fields, stage=asked.name)


def reasonable(pair: Metadata) -> Question[bool]:
    """Do a use case and skills that were paired by chance belong together (section 3.1, mix and match)?"""

    def from_json(text: str) -> bool:
        return bool(json_object(text, {"reasonable": bool})["reasonable"])

    schema = object_schema("reasonable", reasonable={"type": "boolean"})
    return Question("reasonable", {"metadata": metadata_block(pair)}, schema, from_json, lambda text, _: yes_no(text))


def decode(entry: Metadata, count: int) -> Question[tuple[str, ...]]:
    """``count`` basic instructions of an entry (section 3.1). Fewer may come back; never a torn one, never more."""

    def from_json(text: str) -> tuple[str, ...]:
        found = strings(json_object(text, {"instructions": list})["instructions"], text)
        return at_most(filled(found), count, text)

    def from_text(text: str, truncated: bool) -> tuple[str, ...]:
        return at_most(filled(numbered_list(text, truncated=truncated).items), count, text)

    schema = object_schema("instructions", instructions={"type": "array", "items": STRING})
    return Question("decode", {"count": count, "metadata": metadata_block(entry)}, schema, from_json, from_text)


def rubrics(entry: Metadata, count: int) -> Question[tuple[Rubric, ...]]:
    """``count`` rubrics, each with its action, for instructions of an entry (section 3.2)."""

    def from_json(text: str) -> tuple[Rubric, ...]:
        rows = json_object(text, {"rubrics": list})["rubrics"]
        return at_most(tuple(_rubric(row, text) for row in rows), count, text)

    def from_text(text: str, truncated: bool) -> tuple[Rubric, ...]:
        items = numbered_list(text, truncated=truncated).items
        pairs = [labelled(item, "rubric", "action") for item in items]
        return at_most(tuple(Rubric(pair["rubric"], pair["action"]) for pair in pairs), count, text)

    row = {"type": "object", "properties": {"rubric": STRING, "action": STRING}, "required": ["rubric", "action"]}
    schema = object_schema("rubrics", rubrics={"type": "array", "items": row | {"additionalProperties": False}})
    return Question("rubrics", {"count": count, "metadata": metadata_block(entry)}, schema, from_json, from_text)


def improve(instruction: str, entry: Metadata, action: str) -> Question[str]:
    """A more demanding instruction, by one action (section 3.2)."""

    def build(text: str, raw: str) -> str:
        if not text.strip() or text.strip() == instruction.strip():
            raise Unparseable("expected a new instruction, got nothing or the same one", raw=raw)
        return text.strip()

    def from_json(text: str) -> str:
        return build(json_object(text, {"instruction": str})["instruction"], text)

    def from_text(text: str, truncated: bool) -> str:
        whole(text, truncated)
        return build(labelled(text, "instruction")["instruction"], text)

    schema = object_schema("instruction", instruction=STRING)
    fields = {"metadata": metadata_block(entry), "action": action, "instruction": instruction}
    return Question("improve", fields, schema, from_json, from_text)


def judge(instruction: str, answer_1: str, answer_2: str) -> Question[tuple[float, float]]:
    """The scores, 1 to 10, of two answers in the order shown (section 3.3)."""

    def from_json(text: str) -> tuple[float, float]:
        reply = json_object(text, {"score_1": (int, float), "score_2": (int, float)})
        first, second = reply["score_1"], reply["score_2"]
        if not (1 <= first <= 10 and 1 <= second <= 10):
            raise Unparseable("expected scores from 1 to 10", raw=text)
        return float(first), float(second)

    def from_text(text: str, truncated: bool) -> tuple[float, float]:
        whole(text, truncated and "\n" not in text.strip())  # a 1 may be a 10 cut off
        return score_pair(text)

    schema = object_schema("scores", score_1=NUMBER, score_2=NUMBER)
    fields = {"instruction": instruction, "answer_1": answer_1, "answer_2": answer_2}
    return Question("judge", fields, schema, from_json, from_text)


def probe() -> Question[bool]:
    """Is the model there, and does it keep to the form asked for?"""

    def from_json(text: str) -> bool:
        return bool(json_object(text, {"ready": bool})["ready"])

    return Question(
        "probe", {}, object_schema("ready", ready={"type": "boolean"}), from_json, lambda text, _: yes_no(text)
    )


def metadata(use_case: str, skills: Sequence[str], *, max_skills: int, raw: str = "") -> Metadata:
    """A Metadata of tidy one-line texts: the first ``max_skills`` skills, each once. Unparseable if one is missing."""
    tidy: dict[str, str] = {}
    for skill in filter(None, map(_tidy, skills)):
        tidy.setdefault(skill.casefold(), skill)
    kept = tuple(tidy.values())[:max_skills]
    if not _tidy(use_case) or not kept:
        raise Unparseable("expected a use case and at least one skill", raw=raw)
    return Metadata(_tidy(use_case), kept)


def metadata_block(entry: Metadata) -> str:
    """Metadata as prompts show it."""
    return f"use case: {entry.use_case}\nskills: {', '.join(entry.skills)}"


def _example_block(example: EncodeExample) -> str:
    use_case, *skills = (" ".join(text.split()) for text in (example.metadata.use_case, *example.metadata.skills))
    shown = json.dumps(example.instruction, ensure_ascii=False)
    return f"Instruction: {shown}\nUse case: {use_case}\nSkills: {', '.join(skills)}"


def object_schema(name: str, **properties: dict[str, Any]) -> Schema:
    """The schema of an object that has just these properties, all of them."""
    required = list(properties)
    return Schema(
        name, {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    )


def _tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(" \"'`*").rstrip(" .")


def _within(text: str, allowed: Sequence[str], raw: str) -> str:
    if not allowed:
        return text
    for choice in allowed:
        if _tidy(choice).casefold() == _tidy(text).casefold():
            return choice
    raise Unparseable(f"expected one of the allowed names, got {text!r:.80}", raw=raw)


def strings(values: Sequence[Any], raw: str) -> tuple[str, ...]:
    """The values, all texts; Unparseable where one is not."""
    if not all(isinstance(value, str) for value in values):
        raise Unparseable("expected a list of texts", raw=raw)
    return tuple(values)


def _rubric(row: Any, raw: str) -> Rubric:
    match row:
        case {"rubric": str(rubric), "action": str(action)} if rubric.strip() and action.strip():
            return Rubric(rubric.strip(), action.strip())
    raise Unparseable("expected every rubric to be an object with the texts rubric and action", raw=raw)


def at_most(items: Sequence[T], count: int, raw: str) -> tuple[T, ...]:
    """The first ``count`` items; Unparseable when there is none."""
    if not items:
        raise Unparseable("expected at least one item", raw=raw)
    return tuple(items)[:count]


def filled(texts: Sequence[str]) -> list[str]:
    """The texts that hold anything, without white space around them."""
    return [text.strip() for text in texts if text.strip()]


def whole(text: str, truncated: bool) -> None:
    """Unparseable where the token limit cut the reply."""
    if truncated:
        raise Unparseable("the reply was cut off by the token limit", raw=text)
