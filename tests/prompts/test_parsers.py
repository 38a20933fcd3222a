from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codeclm.errors import Unparseable
from codeclm.prompts.parsers import comma_list, json_object, labelled, numbered_list, yes_no
from codeclm.prompts.scores import score_pair

# Every str, lone surrogates and control characters included, and the characters the parsers look for.
ANY_TEXT = st.text(
    st.one_of(st.characters(exclude_categories=()), st.sampled_from("\n\r \t0123456789.)(*_-#`:,;{}[]\"'/"))
)
SEPARATORS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
WORDS = st.text(st.sampled_from("abc xyz é.,!?()`*_\u2028\x0b3"), min_size=1, max_size=12).map(lambda line: f"w{line}w")
ITEMS = st.lists(st.lists(WORDS, min_size=1, max_size=3).map("\n".join), min_size=1, max_size=6)

PARSERS: dict[str, Callable[[str], Any]] = {
    "numbered_list": numbered_list,
    "torn list": lambda text: numbered_list(text, truncated=True),
    "continued list": lambda text: numbered_list(text, continues=True),
    "score_pair": score_pair,
    "labelled": lambda text: labelled(text, "use case", "skills"),
    "comma_list": comma_list,
    "yes_no": yes_no,
    "json_object": lambda text: json_object(text, {"a": int}),
}

# What makes a parser read on.
OPENINGS = {
    "numbered_list": "1. ", "torn list": "1. ", "continued list": "x\n2. ", "score_pair": "Assistant 1's ",
    "labelled": "use case", "comma_list": "a, (", "yes_no": "yes", "json_object": '{"a": ',
}  # fmt: skip


def items(text: str, **options: Any) -> list[str]:
    return list(numbered_list(text, **options).items)


def refuses(parser: Callable[..., Any], text: str, *rest: Any, **options: Any) -> bool:
    """Whether it raises Unparseable with the text in it."""
    try:
        parser(text, *rest, **options)
    except Unparseable as error:
        return error.raw == text
    return False


class TestEveryParser:
    @pytest.mark.parametrize("name", PARSERS)
    @settings(deadline=None)
    @given(text=ANY_TEXT)
    def test_raises_nothing_but_unparseable(self, name: str, text: str) -> None:
        refuses(PARSERS[name], text)

    @pytest.mark.parametrize("name", PARSERS)
    @pytest.mark.parametrize(
        "piece",
        [
            "a", " ", "\n", "1", "1.", "1. ", "1. x\n", "\n\n", "- ", "* ", "**", "`", "```\n", "(", ")", "(a, ",
            ",", "[",
            '{"a":', "9", "9.", "yes ", "no_", "use case", "use case:\n", "skills ", "assistant 1 ", "assistant 1's a ",
            "Assistant 1: 8\n", "assistant 1:\n", "both assistants ", "a score of 8 ", "scores are (",
            "output tuple is ", "not ",
            "tuple output is (8, 9) ", "1. x\n\ny\n", "---\n", "-", "#", ">", ". ", "and ", "\\", '"', "\ud800",
            "\u2028",
        ],
    )  # fmt: skip
    def test_takes_time_in_proportion(self, name: str, piece: str) -> None:
        for opening in ("", OPENINGS[name]):
            text = opening + piece * (200_000 // len(piece))
            began = time.perf_counter()
            refuses(PARSERS[name], text)
            assert time.perf_counter() - began < 5  # about 0.5 s at most; what is quadratic takes minutes


class TestNumberedList:
    @pytest.mark.parametrize(
        "text",
        [
            "1. one\n2. two", "1) one\n2) two", "(1) one\n(2) two", "**1.** one\n**2.** two", "**1. one**\n**2. two**",
            "__1.__ one\n__2.__ two", "### 1. one\n### 2. two", "  1. one\n  2. two", "01. one\n02. two",
            "Sure, here are 2:\n\n1. one\n\n2. two\n", "1. one\r\n2. two\r\n", "1.\tone\n2.\ttwo", "1.\none\n2.\n\ntwo",
            "```\n1. one\n2. two\n```", "1. one\n\n---\n\n2. two\n\n---", "3. steps:\n1. one\n2. two",
        ],
    )  # fmt: skip
    def test_reads_the_usual_ways_to_number(self, text: str) -> None:
        assert items(text) == ["one", "two"]

    def test_bold_that_ends_within_an_item_stays_bold(self) -> None:
        assert items("**1. Plan** a trip\n2. x") == ["**Plan** a trip", "x"]

    def test_keeps_inner_lines_and_takes_off_the_lists_indentation(self) -> None:
        text = "1. Mend:\n\n   def f():\n       pass\n\n   Say why.\n2. two\nand more"
        assert items(text) == ["Mend:\n\ndef f():\n    pass\n\nSay why.", "two\nand more"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("1. see\nsection 2. foo\n2. two", ["see\nsection 2. foo", "two"]),
            ("1. sort\n   1. a\n   2. b\n2. two", ["sort\n1. a\n2. b", "two"]),
            ("1. in\n1999. it began\n2. two", ["in\n1999. it began", "two"]),
            ("1. pour\n3.5 litres\n2.5 cups\n2. two", ["pour\n3.5 litres\n2.5 cups", "two"]),
            ("1. mend\n```\n2. not this\n```\n2. two", ["mend\n```\n2. not this\n```", "two"]),
            ("1. one\n2. two\n4. lost", ["one", "two\n4. lost"]),
            ("1. one\u20282. same\x0b2. item", ["one\u20282. same\x0b2. item"]),
            ("1. order:\n3. a\n4. b\n2. two", ["order:\n3. a\n4. b", "two"]),
        ],
    )
    def test_only_the_next_number_begins_an_item(self, text: str, expected: list[str]) -> None:
        assert items(text) == expected

    def test_refuses_an_inner_list_that_could_be_the_list_itself(self) -> None:
        assert refuses(numbered_list, "1. sort:\n1. a\n2. b\n2. two")

    @pytest.mark.parametrize("text", ["", "   ", "no list", "2. starts late", "1.", "1. \n2. ", "1.5 litres", "a 1. b"])
    def test_refuses_what_holds_no_item(self, text: str) -> None:
        assert refuses(numbered_list, text)

    def test_leaves_out_empty_items(self) -> None:
        assert items("1. one\n2.\n3. three") == ["one", "three"]

    @pytest.mark.parametrize("closing", ["Let me know!", "**Note:** these vary.", "I hope\nthis helps.\n\nBye"])
    def test_a_closing_paragraph_belongs_to_no_item(self, closing: str) -> None:
        assert numbered_list(f"1. one\n2. two\nmore\n\n{closing}").items == ("one", "two\nmore")
        assert not numbered_list(f"1. one\n2. two\n\n{closing}").torn

    @pytest.mark.parametrize(
        "last",
        ["mend:\n\nx = 1", "say\n\n- a\n- b", "mend\n\n```\nx\n\ny\n```", "quote\n\n> so\n\n> be it", "see\n\n| a |"],
    )
    def test_what_is_announced_or_marked_belongs_to_the_last_item(self, last: str) -> None:
        assert items(f"1. one\n2. {last}") == ["one", last]
        assert items(f"1. one\n2. {last}\n\nLet me know!") == ["one", last]

    def test_leaves_out_a_last_item_whose_end_is_unclear(self) -> None:
        paragraphs = numbered_list("1. Sum up.\n\nText: a\n\n2. Sum up.\n\nText: b\n\nBye")
        assert (paragraphs.items, paragraphs.torn) == (("Sum up.\n\nText: a",), True)
        fence = numbered_list("1. one\n2. mend\n```\nx = 1")
        assert (fence.items, fence.torn) == (("one",), True)

    def test_continues_a_number_that_ended_the_prompt(self) -> None:
        assert items(" nine\n10. ten\nmore", first=9, continues=True) == ["nine", "ten\nmore"]
        assert items(" nine", first=9, continues=True) == ["nine"]
        assert items("\n10. ten", first=9, continues=True) == ["ten"]
        assert refuses(numbered_list, " ", first=9, continues=True)

    def test_drops_the_item_that_the_token_limit_cut(self) -> None:
        cut = numbered_list("1. one\n2. tw", truncated=True)
        assert (cut.items, cut.torn) == (("one",), True)
        assert refuses(numbered_list, "1. on", truncated=True)

    def test_a_number_cut_short_begins_no_item(self) -> None:
        assert refuses(numbered_list, "1. pour\n2.", truncated=True)  # ... "2.5 litres"
        assert items("1. pour\n2. ", truncated=True) == ["pour"]

    @settings(deadline=None)
    @given(texts=ITEMS, first=st.integers(0, 50), before=st.sampled_from(["", "Here:\n", "Here are 3:\n\n"]),
           between=st.sampled_from(["\n", "\n\n", "\r\n"]), after=st.sampled_from(["", "\n", "\n\nBye."]),
           form=st.sampled_from(["{}. {}", "{}) {}", "**{}.** {}"]))  # fmt: skip
    def test_reads_back_what_was_rendered(
        self, texts: list[str], first: int, before: str, between: str, after: str, form: str
    ) -> None:
        rendered = between.join(form.format(first + index, text) for index, text in enumerate(texts))
        assert items(before + rendered + after, first=first) == texts

    @settings(deadline=None)
    @given(texts=ITEMS, nested=st.booleans(), cut=st.integers(0, 400), after=st.sampled_from(["", "\n\nBye."]))
    def test_a_cut_list_gives_a_prefix_of_its_items(self, texts: list[str], nested: bool, cut: int, after: str) -> None:
        inner = "\n   1. a\n   2. b\n```\n3. c\n```\n2.5 d\n3.5 e" if nested else ""
        rendered = "\n".join(f"{index}. {text}{inner}" for index, text in enumerate(texts, 1)) + after
        assume(cut <= len(rendered))
        whole = numbered_list(rendered).items
        try:
            part = numbered_list(rendered[:cut], truncated=True)
        except Unparseable:
            return
        assert part.torn
        assert part.items == whole[: len(part.items)]

    @settings(deadline=None)
    @given(text=ANY_TEXT)
    def test_a_cut_of_any_text_gives_a_prefix_of_its_items(self, text: str) -> None:
        text = f"1. a\n{text}\n2. b"
        try:
            whole = numbered_list(text).items
        except Unparseable:
            return
        for cut in range(len(text)):
            if not refuses(numbered_list, text[:cut], truncated=True):
                part = items(text[:cut], truncated=True)
                assert part == list(whole[: len(part)])


class TestLabelled:
    @pytest.mark.parametrize(
        "text",
        [
            "use case: a b\nskills: c, d", "Use Case: a b\nSKILLS: c, d", "**Use case:** a b\n**Skills**: c, d",
            "**Use case: a b**\n__Skills: c, d__", "- Use case: a b\n* Skills: c, d",
            "## Use case: a b\r\n## Skills: c, d\r\n",
            "Skills: c, d\nUse case: a b", "Sure: here.\n\nUse case :a b\n\nSkills:\nc, d\n",
        ],
    )  # fmt: skip
    def test_reads_the_usual_ways_to_label(self, text: str) -> None:
        assert labelled(text, "use case", "skills") == {"use case": "a b", "skills": "c, d"}

    def test_keeps_every_line_of_a_value(self) -> None:
        assert labelled("Rubric: a\n\n b: c\nAction: d", "rubric", "action") == {"rubric": "a\n\n b: c", "action": "d"}

    @pytest.mark.parametrize(
        "text",
        ["", "Use case: a", "Use case: a\nSkills:", "Use case: a\nSkills: b\nSkills: c", "The use case: a\nSkills: b",
         "Use case: a, Skills: b", "Use cases: a\nSkills: b", "Use case: a\nſkills: b", "Use case: a\u2028Skills: b"],
    )  # fmt: skip
    def test_refuses_a_label_that_is_missing_empty_or_given_twice(self, text: str) -> None:
        assert refuses(labelled, text, "use case", "skills")

    def test_bold_that_ends_within_a_value_stays_bold(self) -> None:
        assert labelled("**Use case: a** b", "use case") == {"use case": "**a** b"}

    @settings(deadline=None)
    @given(values=st.lists(WORDS, min_size=2, max_size=2))
    def test_reads_back_what_was_rendered(self, values: list[str]) -> None:
        assert list(labelled("Use case: {}\nSkills: {}".format(*values), "use case", "skills").values()) == values


class TestCommaList:
    @pytest.mark.parametrize(
        "text",
        ["a b, c", "a b; c.", "- a b\n- c", "1. a b\n2. c", '"a b", "c".', "* **a b**\n* `c`", "a b,, c,\n\n",
        "• A B;\n• c",
         "a  b, c, A B", "a b, and c", "a b\r\nc"],
    )  # fmt: skip
    def test_reads_the_usual_ways_to_list(self, text: str) -> None:
        assert [item.lower() for item in comma_list(text)] == ["a b", "c"]

    def test_a_comma_within_brackets_separates_nothing(self) -> None:
        assert comma_list("statistics (mean, median), logic") == ("statistics (mean, median)", "logic")
        assert comma_list("statistics (mean, logic") == ("statistics (mean", "logic")

    def test_keeps_the_first_of_equal_items(self) -> None:
        assert comma_list("SQL, python, sql, Python") == ("SQL", "python")

    def test_keeps_signs_that_are_part_of_a_name(self) -> None:
        assert comma_list("C++, C#, .NET, and-or logic") == ("C++", "C#", ".NET", "and-or logic")

    def test_may_be_empty(self) -> None:
        assert comma_list(" , ;\n. ") == ()

    @settings(deadline=None)
    @given(texts=st.lists(st.text("abcé /+3", min_size=1).map(lambda text: " ".join(f"x{text}x".split())), unique=True))
    def test_reads_back_what_was_rendered(self, texts: list[str]) -> None:
        assert comma_list(", ".join(texts)) == tuple(texts)
        assert comma_list("\n".join(f"- {text}" for text in texts)) == tuple(texts)


class TestYesNo:
    @pytest.mark.parametrize(
        "text", ["yes", "Yes.", " YES!", "**Yes**", "_yes_", "- yes, they do", '"Yes"', "Yes\nno doubt"]
    )
    def test_yes(self, text: str) -> None:
        assert yes_no(text) is True

    @pytest.mark.parametrize("text", ["no", "No.", "\n\nNO", "**no**, because", "No — never", "No\nyes would be wrong"])
    def test_no(self, text: str) -> None:
        assert yes_no(text) is False

    @pytest.mark.parametrize(
        "text",
        ["", "maybe", "yes and no", "No, yes", "Answer: yes", "nope", "yesterday", "no-one", "not", "!", "1 yes"],
    )
    def test_refuses_neither_and_both(self, text: str) -> None:
        assert refuses(yes_no, text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


class TestJsonObject:
    @pytest.mark.parametrize("text", ['{"a": 1}', ' \n{"a": 1}\n', '```json\n{"a": 1}\n```', '```\n{"a":\n1}\n```\n'])
    def test_reads_one_object(self, text: str) -> None:
        assert json_object(text, {"a": int}) == {"a": 1}

    def test_code_within_a_fenced_reply_is_no_end_of_it(self) -> None:
        assert json_object('```json\n{"a": "```x```"}\n```', {"a": str}) == {"a": "```x```"}

    @pytest.mark.parametrize(
        "text",
        [
            "", "{", "[]", "1", "null", '"a"', '{"a": 1} {"a": 1}', '{"a": 1}.', 'Here: {"a": 1}', "{'a': 1}",
            '{"a": 1,}',
            '{"a": 1, "a": 1}', '{"a": 1, "b": {"c": 1, "c": 2}}', '{"a": 1, "b": NaN}', '{"a": 1, "b": -Infinity}',
            '{"a": 1, "b": 1e999}', '{"a": ' + "1" * 5000 + "}", '{"a": 1, "b": ' + "[" * 100_000 + "]" * 100_000 + "}",
            "[" * 200_000, '{"a":' * 100_000, '{"a": 1, "b": "\\ud800"}', '{"a": 1, "b": "\ud800"}',
            '{"a": 1, "b": "\n"}',
            '```json\n{"a": 1}', '```json\n{"a": 1}\n```\nDone', '```json\n{"a": 1}\n```\n```json\n{"a": 1}\n```',
            "\ufeff{}",
        ],
    )  # fmt: skip
    def test_refuses_everything_else(self, text: str) -> None:
        assert refuses(json_object, text, {"a": int})

    @pytest.mark.parametrize(
        ("value", "kinds"),
        [("true", int), ("true", (int, float)), ("1", float), ("1", bool), ("1.0", int), ("null", str), ("[]", dict)],
    )
    def test_refuses_a_wrong_type(self, value: str, kinds: type | tuple[type, ...]) -> None:
        assert refuses(json_object, f'{{"a": {value}}}', {"a": kinds})

    def test_needs_every_key_and_allows_others(self) -> None:
        assert refuses(json_object, '{"b": 1}', {"a": int})
        assert json_object('{"a": 7.5, "b": true}', {"a": (int, float), "b": bool}) == {"a": 7.5, "b": True}

    @settings(deadline=None)
    @given(value=st.dictionaries(st.text(), JSON), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
    def test_reads_back_what_was_rendered(self, value: dict[str, Any], indent: int | None, ascii_only: bool) -> None:
        text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
        assert json_object(text, {}) == value
        assert json_object(f"```json\n{text}\n```", {}) == value

    @settings(deadline=None)
    @given(text=ANY_TEXT)
    def test_what_is_read_is_json_to_others_too(self, text: str) -> None:
        try:
            value = json_object(f'{{"a": {text}}}', {})
        except Unparseable:
            return
        assert json.loads(json.dumps(value, allow_nan=False)) == value
        assert not any(isinstance(each, float) and not math.isfinite(each) for each in value.values())


def test_other_line_separators_end_no_line() -> None:
    for separator in SEPARATORS:
        assert items(f"1. a{separator}2. b") == [f"a{separator}2. b"]
        assert labelled(f"a: b{separator}a: c", "a") == {"a": f"b{separator}a: c"}
        assert re.fullmatch(r"b.a: c", labelled(f"a: b{separator}a: c", "a")["a"])
