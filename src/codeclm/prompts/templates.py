"""Templates and the one function that fills them in.

A template is a text file with ``<<name>>`` fields and two endings, one for each reply form. :func:`render` fills in all
fields in one pass, so nothing inside a value is taken for a field. Numbers stand as they are; every text is fenced::

    [instruction 4f1c09d2]
    …
    [/instruction 4f1c09d2]

The mark is a digest of all the values and stands in none of them: a seed or an answer can neither leave its fence nor
speak as the prompt. :func:`read` is the inverse of :func:`render`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Literal, get_args

from codeclm.records import Message, ReplyForm

Fields = Mapping[str, str | int]

NAMES = tuple(sorted(file.name[:-4] for file in (files(__package__) / "templates").iterdir()))

FIELD = re.compile(r"<<(\w+)>>")

FieldKind = Literal["text", "number"]


@dataclass(frozen=True, slots=True)
class Templates:
    """The texts of all prompts: ``own`` ones, by name, in the place of the built-in ones."""

    own: tuple[tuple[str, str], ...] = ()

    def text(self, name: str) -> str:
        """The whole template, with both endings."""
        return dict(self.own).get(name) or _built_in(name)


BUILT_IN = Templates()


@cache
def _built_in(name: str) -> str:
    return (files(__package__) / "templates" / f"{name}.txt").read_text(encoding="utf-8")


def kinds_of(name: str) -> dict[str, FieldKind]:
    """The fields of prompt ``name`` and what each holds: in the built-in template, texts are those alone on a line."""
    return _kinds(BUILT_IN.text(name))


def kind_of(value: str | int) -> FieldKind:
    """Which kind of field a value goes into."""
    return "number" if isinstance(value, int) else "text"


@cache
def _kinds(text: str) -> dict[str, FieldKind]:
    alone = set(re.findall(r"^<<(\w+)>>$", text, re.MULTILINE))
    return {name: "text" if name in alone else "number" for name in FIELD.findall(text)}


@dataclass(frozen=True, slots=True)
class PromptRead:
    """A prompt taken apart again: which one it is, the reply form it asks for, and its fields."""

    name: str
    form: ReplyForm
    fields: dict[str, str]


def render(name: str, form: ReplyForm, fields: Fields, templates: Templates = BUILT_IN) -> tuple[Message, ...]:
    """The messages of prompt ``name``, asking for a reply in ``form``."""
    mark = _mark(fields)
    values = {key: str(value) if isinstance(value, int) else _fence(key, value, mark) for key, value in fields.items()}
    pieces = list(_pieces(templates, name, form))
    pieces[1::2] = [values[key] for key in pieces[1::2]]
    return (Message("user", "".join(pieces)),)


def read(text: str, templates: Templates = BUILT_IN) -> PromptRead | None:
    """The prompt that :func:`render` made ``text`` from; None when it made no such text."""
    for name in NAMES:
        for form in get_args(ReplyForm):
            opening, pattern = _pattern(templates, name, form)
            if text.startswith(opening) and (match := pattern.fullmatch(text)):
                fields = {key: value for key, value in match.groupdict().items() if key != "mark"}
                return PromptRead(name, form, fields)
    return None


def _mark(fields: Fields) -> str:
    """A mark that stands in none of the values: whoever searches long enough can hit any one digest."""
    values = [str(value) for value in fields.values()]
    for salt in count():
        digest = hashlib.blake2b(repr((salt, values)).encode("utf-8", "backslashreplace"), digest_size=4)
        mark = digest.hexdigest()
        if not any(mark in value for value in values):
            return mark
    raise AssertionError  # count() does not end


def _fence(key: str, value: str, mark: str) -> str:
    return f"[{key} {mark}]\n{value}\n[/{key} {mark}]"


@cache
def _template(templates: Templates, name: str, form: ReplyForm) -> str:
    body, *endings = re.split(r"^=== (\w+)\n", templates.text(name), flags=re.MULTILINE)
    return body.rstrip("\n") + "\n\n" + dict(zip(endings[::2], endings[1::2], strict=True))[form].rstrip("\n")


@cache
def _pieces(templates: Templates, name: str, form: ReplyForm) -> tuple[str, ...]:
    """The template cut at its fields: text, a field's name, text, and so on to the last text."""
    return tuple(FIELD.split(_template(templates, name, form)))


@cache
def _pattern(templates: Templates, name: str, form: ReplyForm) -> tuple[str, re.Pattern[str]]:
    """The template's first words, by which most others are told apart cheaply, and the pattern of the whole."""
    template, kinds = _template(templates, name, form), kinds_of(name)
    pattern, end, marked = "", 0, False
    for match in FIELD.finditer(template):
        key = match[1]
        is_text = kinds[key] == "text"
        mark = "(?P=mark)" if marked else "(?P<mark>[0-9a-f]{8})"
        field = rf"\[{key} {mark}\]\n(?P<{key}>.*?)\n\[/{key} (?P=mark)\]" if is_text else rf"(?P<{key}>\d+)"
        marked = marked or is_text
        pattern += re.escape(template[end : match.start()]) + field
        end = match.end()
    opening = FIELD.split(template.split("\n", 1)[0], maxsplit=1)[0]
    return opening, re.compile(pattern + re.escape(template[end:]), re.DOTALL)
