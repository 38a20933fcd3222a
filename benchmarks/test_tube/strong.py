"""The strong model and the judges: every role of the codec played rightly, in a world where right can be computed.

A reply is a pure function of the model's name, the messages and the sample. Behind the simulator's server
(``Simulator(reply=reply)``) the names mean:

- ``strong`` answers every step, with a slip in :data:`SLIP` of them, and plays encode, decode, Self-Rubrics and the
  baselines' roles. It obeys its prompts and knows nothing of the target, of the test sets, or of what is latent.
- ``judge`` scores by the exact checker: 1 + 9 x ``world.credit``, to half points.
- ``judge-noisy`` wavers by up to :data:`NOISE` points, favours what is shown first, and what is longer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from benchmarks.test_tube.skills import BY_NAME, SKILLS, Skill
from benchmarks.test_tube.world import BY_NAME as USE_CASES_BY_NAME
from benchmarks.test_tube.world import (
    KINDS,
    LONGEST,
    MOST_STEPS,
    USE_CASES,
    Task,
    UseCase,
    credit,
    read,
    task,
    with_first_step,
    with_item,
    with_step,
)
from codeclm.prompts.templates import Templates
from codeclm.records import ReplyForm
from codeclm.simulator.models import SimulatedModel
from codeclm.simulator.reply_texts import as_json, metadata_of, numbered
from codeclm.simulator.world import prompt_of

SLIP: Final = 0.02
"""The chance of a step of the strong model's to come out wrong."""

NOISE, FAVOUR, PER_WORD = 2.5, 1.5, 0.05
"""The noisy judge: points it wavers by at most, adds to the first answer, and adds for each word."""

BASIC_LENGTHS: Final = (3, 4)
"""Items in the list of a basic instruction."""

UNREADABLE: Final = "i do not understand"

Fields = Mapping[str, str]
Role = Callable[[str, Fields, ReplyForm, random.Random], str]


def reply(
    model: SimulatedModel,
    messages: Sequence[Mapping[str, Any]],
    *,
    temperature: float,
    seed: int,
    templates: Templates,
) -> str:
    """What ``strong`` or a judge says to ``messages``: its role's reply to a prompt of codeclm, else an answer."""
    prompt = prompt_of(messages, templates)
    sample = str(seed if temperature > 0 else 0)
    if prompt is None:
        instruction = str(messages[-1].get("content"))
        return answer(instruction, random.Random("\x1f".join(("answer", instruction, sample))))
    draws = random.Random("\x1f".join((prompt.name, model.name, *prompt.fields.values(), sample)))
    return ROLES[prompt.name](model.name, prompt.fields, prompt.form, draws)


def answer(instruction: str, draws: random.Random) -> str:
    """The strong model's answer: right but for a slip, from which it goes on as if all were well."""
    asked = read(instruction)
    if asked is None:
        return UNREADABLE
    names = KINDS[asked.use_case.kind]
    items, steps = asked.items, []
    for skill in asked.skills:
        items = skill.apply(items, len(names))
        if draws.random() < SLIP:
            items = (*items[1:], (items[0] + 1) % len(names))
        steps.append(f"{skill.operation} : {asked.words(items)}")
    return " ; ".join(steps)


def _encode(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    asked = _read(fields["instruction"])
    found = list(dict.fromkeys(skill.name for skill in asked.skills))[: int(fields["max_skills"])]
    if form == "json":
        return as_json(use_case=asked.use_case.name, skills=found)
    return f"Use case: {asked.use_case.name}\nSkills: {', '.join(found)}"


def _yes(key: str) -> Role:
    def role(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
        return as_json(**{key: True}) if form == "json" else "yes"

    return role


def _decode(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    use_case, skills = _metadata(fields)
    written = [
        task(use_case, draws.sample(skills, len(skills)), draws.choice(BASIC_LENGTHS), draws).text
        for _ in range(int(fields["count"]))
    ]
    return _list(written, form)


AT_END, AT_START = "Let {} be one more step at the end.", "Let {} be one more step before all others."
ONE_ITEM, TWO_ITEMS = "Make the list one item longer.", "Make the list two items longer."


def _rubrics(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    _, skills = _metadata(fields)
    ends = [(f"How much {skill.name} it closes with.", AT_END.format(skill.name)) for skill in skills]
    starts = [(f"How much {skill.name} it opens with.", AT_START.format(skill.name)) for skill in skills]
    one = ("Whether its list is long.", ONE_ITEM)
    two = ("Whether its list is very long.", TWO_ITEMS)
    pairs = [ends[0], one, *ends[1:], *starts, two][: int(fields["count"])]
    if form == "json":
        return as_json(rubrics=[{"rubric": rubric, "action": action} for rubric, action in pairs])
    return numbered([f"Rubric: {rubric}\nAction: {action}" for rubric, action in pairs])


def _improve(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    old, action = _read(fields["instruction"]), fields["action"]
    named = next((skill for skill in SKILLS if skill.name in action), None)
    if named is None:
        new = _longer(old, 2 if action == TWO_ITEMS else 1, draws)
    elif len(old.phrasings) < MOST_STEPS:
        new = (
            with_first_step(old, named, draws)
            if action == AT_START.format(named.name)
            else with_step(old, named, draws)
        )
    else:
        new = _longer(old, 1, draws)
    return _one("instruction", new.text, form)


def _longer(old: Task, by: int, draws: random.Random) -> Task:
    """With more items, as far as there are some; where there are none, one of the same kind from anew."""
    new = old
    for _ in range(by):
        new = with_item(new, draws) if len(new.items) < LONGEST else new
    return new if new != old else task(old.use_case, old.skills, len(old.items), draws)


def _self_instruct(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    shown = [
        _read(text) for text in re.split(r"^Example [0-9]+:\n", fields["demonstrations"], flags=re.M) if text.strip()
    ]
    known = [skill for each in shown for skill in each.skills]
    written = []
    for _ in range(int(fields["count"])):
        like = draws.choice(shown)
        skills = [draws.choice(known) for _ in like.skills]
        written.append(task(draws.choice(shown).use_case, skills, len(like.items), draws).text)
    return _list(written, form)


def _tree(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    old, nodes = _read(fields["instruction"]), []
    new = old
    for _ in range(int(fields["nodes"])):
        if len(new.phrasings) < MOST_STEPS:
            new = with_step(new, draws.choice(SKILLS), draws)
            nodes.append(new.phrasings[-1])
        else:
            new = _longer(new, 1, draws)
            nodes.append(new.words(new.items[-1:]))
    outline = "\n".join(("list", *(f"  {phrasing}" for phrasing in old.phrasings)))
    if form == "json":
        return as_json(tree=outline, new_nodes=nodes, new_instruction=new.text)
    return f"Tree: {outline}\nNew nodes: {'; '.join(nodes)}\nNew instruction: {new.text}"


def _evolve_depth(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    old = _read(fields["instruction"])
    adds_step = len(old.phrasings) < MOST_STEPS and draws.random() < 0.7
    new = with_step(old, draws.choice(SKILLS), draws) if adds_step else _longer(old, 1, draws)
    return _one("rewritten instruction", new.text, form)


def _evolve_breadth(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    old = _read(fields["instruction"])
    skills = [draws.choice(SKILLS) for _ in old.skills]
    return _one("created instruction", task(draws.choice(USE_CASES), skills, len(old.items), draws).text, form)


def _equal(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    first, second = _read(fields["first"]), _read(fields["second"])
    verdict = (first.skills, first.items) == (second.skills, second.items)
    return as_json(equal=verdict) if form == "json" else "yes" if verdict else "no"


def _rating(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    rating = round(2 * 5 * _credit(fields["instruction"], fields["answer"])) / 2
    return as_json(rating=rating) if form == "json" else f"{rating:g}"


def _judge(name: str, fields: Fields, form: ReplyForm, draws: random.Random) -> str:
    first, second = (_score(name, fields["instruction"], fields[f"answer_{place}"], place) for place in (1, 2))
    return as_json(score_1=first, score_2=second) if form == "json" else f"{first:g} {second:g}"


def _score(name: str, instruction: str, text: str, place: int) -> float:
    score = 1 + 9 * _credit(instruction, text)
    if name == "judge-noisy":
        draws = random.Random("\x1f".join(("noise", instruction, text, str(place))))
        score += draws.uniform(-NOISE, NOISE) + (FAVOUR if place == 1 else 0) + PER_WORD * len(text.split())
    return min(10.0, max(1.0, round(2 * score) / 2))


def _credit(instruction: str, text: str) -> float:
    asked = read(instruction)
    return credit(asked, text) if asked else 0.0


def _metadata(fields: Fields) -> tuple[UseCase, list[Skill]]:
    use_case, skills = metadata_of(fields)
    return USE_CASES_BY_NAME[use_case], [BY_NAME[name] for name in skills]


def _read(text: str) -> Task:
    asked = read(text)
    if asked is None:
        raise ValueError(f"not an instruction of this world: {text!r:.200}")
    return asked


def _list(items: Sequence[str], form: ReplyForm) -> str:
    return as_json(instructions=items) if form == "json" else numbered(items)


def _one(label: str, instruction: str, form: ReplyForm) -> str:
    if form == "json":
        return as_json(**{label.replace(" ", "_"): instruction})
    return f"{label.capitalize()}: {instruction}"


ROLES: Final[Mapping[str, Role]] = {
    "encode": _encode,
    "reasonable": _yes("reasonable"),
    "decode": _decode,
    "rubrics": _rubrics,
    "improve": _improve,
    "probe": _yes("ready"),
    "self_instruct": _self_instruct,
    "tree": _tree,
    "evolve_depth": _evolve_depth,
    "evolve_breadth": _evolve_breadth,
    "equal": _equal,
    "rating": _rating,
    "judge": _judge,
}
"""By the name of the prompt."""
