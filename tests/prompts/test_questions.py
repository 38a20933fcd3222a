"""Each question's replies, in both forms: what a good one means, and that anything else is never guessed at."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.errors import Unparseable
from codeclm.prompts import questions
from codeclm.prompts.questions import Question
from codeclm.records import Metadata, ReplyForm, Rubric

ENTRY = Metadata("code debugging", ("python", "testing"))
ENCODE = questions.encode("Fix my code.", max_skills=2)
BOUND = questions.encode(
    "Fix my code.", use_cases=["Code debugging", "Small talk"], skills=["Python", "Testing", ".NET programming"]
)
REASONABLE = questions.reasonable(ENTRY)
DECODE = questions.decode(ENTRY, 2)
RUBRICS = questions.rubrics(ENTRY, 2)
IMPROVE = questions.improve("Fix my code.", ENTRY, "Add a condition.")
JUDGE = questions.judge("Fix my code.", "Done.", "No.")
PROBE = questions.probe()
ALL: list[Question[Any]] = [ENCODE, BOUND, REASONABLE, DECODE, RUBRICS, IMPROVE, JUDGE, PROBE]

GOOD: list[tuple[Question[Any], object, str, object]] = [
    (
        ENCODE,
        {"use_case": "Code debugging.", "skills": [" python", "testing"]},
        "Use case: Code debugging.\nSkills:  python, testing",
        Metadata("Code debugging", ("python", "testing")),
    ),
    (
        ENCODE,
        {"use_case": "code\n debugging", "skills": ["a", "b", "c"]},
        "Use case: code\n debugging\nSkills: a, b, c",
        Metadata("code debugging", ("a", "b")),
    ),
    (
        ENCODE,
        {"use_case": "u", "skills": ["a", "A", "", "b"]},
        "Use case: u\nSkills: a, A, , b",
        Metadata("u", ("a", "b")),
    ),
    (
        BOUND,
        {"use_case": "code debugging", "skills": ["testing", "PYTHON."]},
        "Use case: code debugging\nSkills: testing, PYTHON.",
        Metadata("Code debugging", ("Testing", "Python")),
    ),
    (
        BOUND,
        {"use_case": "Small talk", "skills": [".NET programming"]},
        "Use case: Small talk\nSkills: .NET programming",
        Metadata("Small talk", (".NET programming",)),
    ),
    (REASONABLE, {"reasonable": True}, "Yes.", True),
    (REASONABLE, {"reasonable": False}, "no, not really", False),
    (DECODE, {"instructions": [" Do one.", "Do\ntwo."]}, "1.  Do one.\n2. Do\ntwo.", ("Do one.", "Do\ntwo.")),
    (DECODE, {"instructions": ["a", "b", "c"]}, "1. a\n2. b\n3. c", ("a", "b")),
    (DECODE, {"instructions": ["a", " "]}, "1. a", ("a",)),
    (
        RUBRICS,
        {"rubrics": [{"rubric": "Depth ", "action": "Ask why."}]},
        "1. Rubric: Depth\nAction: Ask why.",
        (Rubric("Depth", "Ask why."),),
    ),
    (
        RUBRICS,
        {"rubrics": [{"rubric": f"r{n}", "action": f"a{n}"} for n in range(3)]},
        "\n".join(f"{n + 1}. Rubric: r{n}\nAction: a{n}" for n in range(3)),
        (Rubric("r0", "a0"), Rubric("r1", "a1")),
    ),
    (IMPROVE, {"instruction": " Fix it\nand test it. "}, "Instruction: Fix it\nand test it.", "Fix it\nand test it."),
    (JUDGE, {"score_1": 8, "score_2": 9.5}, "8 9.5", (8.0, 9.5)),
    (JUDGE, {"score_1": 1, "score_2": 10}, "1 10", (1.0, 10.0)),
    (PROBE, {"ready": True}, "yes", True),
]  # fmt: skip


@pytest.mark.parametrize(("question", "in_json", "in_text", "meaning"), GOOD)
def test_a_good_reply_means_the_same_in_both_forms(
    question: Question[Any], in_json: object, in_text: str, meaning: object
) -> None:
    assert question.parse(json.dumps(in_json), "json") == meaning
    assert question.parse(f"```json\n{json.dumps(in_json, indent=2)}\n```", "json") == meaning
    assert question.parse(in_text, "text") == meaning


BAD: list[tuple[Question[Any], ReplyForm, str]] = [
    (ENCODE, "json", '{"use_case": "", "skills": ["a"]}'),
    (ENCODE, "json", '{"use_case": "u", "skills": []}'),
    (ENCODE, "json", '{"use_case": "u", "skills": [" ", "."]}'),
    (ENCODE, "json", '{"use_case": "u", "skills": ["a", 5]}'),
    (ENCODE, "json", '{"use_case": "u", "skills": "a, b"}'),
    (ENCODE, "json", '{"use_case": "u"}'),
    (ENCODE, "json", '[{"use_case": "u", "skills": ["a"]}]'),
    (ENCODE, "text", "Use case: u"),
    (ENCODE, "text", "Use case: u\nSkills:"),
    (ENCODE, "text", "Use case: u\nUse case: v\nSkills: a"),
    (BOUND, "json", '{"use_case": "cooking", "skills": ["Python"]}'),
    (BOUND, "json", '{"use_case": "Small talk", "skills": ["Python", "Rust"]}'),
    (BOUND, "text", "Use case: Small talk\nSkills: Rust"),
    (REASONABLE, "json", '{"reasonable": "yes"}'),
    (REASONABLE, "json", '{"reasonable": 1}'),
    (REASONABLE, "json", "yes"),
    (REASONABLE, "text", "That depends."),
    (DECODE, "json", '{"instructions": []}'),
    (DECODE, "json", '{"instructions": ["", " "]}'),
    (DECODE, "json", '{"instructions": ["a", null]}'),
    (DECODE, "json", '{"instructions": {"1": "a"}}'),
    (DECODE, "text", "Here are some."),
    (RUBRICS, "json", '{"rubrics": [{"rubric": "a"}]}'),
    (RUBRICS, "json", '{"rubrics": [{"rubric": "a", "action": " "}]}'),
    (RUBRICS, "json", '{"rubrics": [{"rubric": "a", "action": "b"}, "c"]}'),
    (RUBRICS, "json", '{"rubrics": []}'),
    (RUBRICS, "text", "1. Depth\n2. Breadth"),
    (IMPROVE, "json", '{"instruction": "Fix my code."}'),
    (IMPROVE, "json", '{"instruction": " Fix my code.\\n"}'),
    (IMPROVE, "json", '{"instruction": " "}'),
    (IMPROVE, "text", "Instruction: Fix my code."),
    (IMPROVE, "text", "Fix my code and test it."),
    (JUDGE, "json", '{"score_1": 0, "score_2": 5}'),
    (JUDGE, "json", '{"score_1": 5, "score_2": 10.5}'),
    (JUDGE, "json", '{"score_1": "5", "score_2": 5}'),
    (JUDGE, "json", '{"score_1": true, "score_2": 5}'),
    (JUDGE, "json", '{"score_1": NaN, "score_2": 5}'),
    (JUDGE, "json", '{"score_1": 5, "score_1": 6, "score_2": 5}'),
    (JUDGE, "json", '{"score_1": 1' + "0" * 400 + ', "score_2": 5}'),
    (JUDGE, "text", "0 5"),
    (JUDGE, "text", "5 11"),
    (JUDGE, "text", "5"),
    (PROBE, "json", '{"ready": "yes"}'),
]


@pytest.mark.parametrize(("question", "form", "text"), BAD)
def test_a_bad_reply_is_unparseable_and_kept(question: Question[Any], form: ReplyForm, text: str) -> None:
    with pytest.raises(Unparseable) as caught:
        question.parse(text, form)
    assert caught.value.raw == text


@given(question=st.sampled_from(ALL), form=st.sampled_from(["json", "text"]), truncated=st.booleans(), text=st.text())
def test_any_reply_is_read_or_unparseable(question: Question[Any], form: ReplyForm, truncated: bool, text: str) -> None:
    with contextlib.suppress(Unparseable):
        question.parse(text, form, truncated=truncated)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["rubric", "action", "x"]), inner),
)


@given(question=st.sampled_from(ALL), data=st.data())
def test_any_json_with_the_right_keys_is_read_or_unparseable(question: Question[Any], data: st.DataObject) -> None:
    reply = {key: data.draw(_json) for key in question.schema.schema["required"]}
    with contextlib.suppress(Unparseable):
        question.parse(json.dumps(reply), "json")


# Replies cut off by the token limit


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (ENCODE, "Use case: u\nSkills: a, b"),
        (IMPROVE, "Instruction: Fix my code and"),
        (DECODE, "1. Do"),
        (RUBRICS, "1. Rubric: a\nAction: b"),
        (JUDGE, "7 1"),
    ],
)
def test_text_that_may_go_on_is_not_taken_for_whole(question: Question[Any], text: str) -> None:
    with pytest.raises(Unparseable):
        question.parse(text, "text", truncated=True)


def test_a_cut_list_keeps_its_complete_items() -> None:
    assert DECODE.parse("1. Do one.\n2. Do", "text", truncated=True) == ("Do one.",)
    cut = "1. Rubric: a\nAction: b\n2. Rubric: c\nAct"
    assert RUBRICS.parse(cut, "text", truncated=True) == (Rubric("a", "b"),)


def test_scores_on_a_line_of_their_own_count_although_the_text_below_was_cut() -> None:
    assert JUDGE.parse("8 9\nThe second answer is a little", "text", truncated=True) == (8.0, 9.0)


# Metadata


@pytest.mark.parametrize(
    ("skills", "kept"),
    [
        (["a", "b", "c"], ("a", "b")),
        (["a", "b", "a"], ("a", "b")),
        (["A", "b", "a"], ("A", "b")),
        (["a", "a", "b", "c"], ("a", "b")),
        (["", "a.", "a", "b"], ("a", "b")),
    ],
)
def test_the_first_skills_are_kept_each_once_in_order(skills: list[str], kept: tuple[str, ...]) -> None:
    assert questions.metadata("u", skills, max_skills=2) == Metadata("u", kept)


def test_the_most_important_skill_is_kept_where_only_one_may_be() -> None:
    assert questions.metadata("u", ["a", "b", "a"], max_skills=1).skills == ("a",)


@given(
    skills=st.lists(st.text(st.sampled_from("aAb .\n"), max_size=4), max_size=6),
    max_skills=st.integers(1, 4),
)
def test_metadata_is_tidy_and_distinct(skills: list[str], max_skills: int) -> None:
    try:
        kept = questions.metadata("use", skills, max_skills=max_skills).skills
    except Unparseable:
        assert not any(skill.strip(" .\n") for skill in skills)
        return
    assert 1 <= len(kept) <= max_skills
    assert len({skill.casefold() for skill in kept}) == len(kept)
    assert all(skill == skill.strip() and "\n" not in skill for skill in kept)


# Schemas and bounds


@pytest.mark.parametrize("question", ALL, ids=lambda question: str(question.name))
def test_a_schema_demands_every_property_and_allows_no_other(question: Question[Any]) -> None:
    def check(schema: dict[str, Any]) -> None:
        if schema["type"] == "object":
            assert schema["required"] == list(schema["properties"])
            assert schema["additionalProperties"] is False
            for inner in schema["properties"].values():
                check(inner)
        elif schema["type"] == "array":
            check(schema["items"])

    check(question.schema.schema)
    assert question.schema.name.isidentifier()


def test_bounds_stand_in_the_schema_and_in_the_prompt() -> None:
    properties = BOUND.schema.schema["properties"]
    assert properties["use_case"]["enum"] == ["Code debugging", "Small talk"]
    assert properties["skills"]["items"]["enum"] == ["Python", "Testing", ".NET programming"]
    assert "use cases: Code debugging; Small talk\nskills: Python; Testing; .NET" in str(BOUND.fields["allowed"])
    assert ENCODE.fields["allowed"] == "use cases: any\nskills: any"
    assert "enum" not in json.dumps(ENCODE.schema.schema)


def test_an_entry_is_told_with_all_its_skills() -> None:
    assert DECODE.fields == {"count": 2, "metadata": "use case: code debugging\nskills: python, testing"}
