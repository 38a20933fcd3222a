"""Texts in pages: always text, never markup, and nothing in them is hidden."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.pages import rendering
from codeclm.pages.rendering import clip, render, visible


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A template of the test's own, that uses the shared parts."""
    folder = tmp_path / "pages" / "templates"
    folder.mkdir(parents=True)
    parts = Path(rendering.__file__).parent / "templates" / "parts.html"
    (folder / "parts.html").write_bytes(parts.read_bytes())
    monkeypatch.setattr(rendering, "_PACKAGE", tmp_path)
    rendering._environment.cache_clear()
    return folder / "test.html"


@pytest.fixture(autouse=True)
def _own_environment() -> object:
    yield
    rendering._environment.cache_clear()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_no_text_becomes_markup(hostile: str) -> None:
    template = rendering._environment().from_string(
        "{% import 'parts.html' as parts %}{{ parts.text(value, box=True) }}{{ parts.changed('a', value) }}"
    )
    tags = _Tags()
    tags.feed(template.render(value=hostile + "<script>alert(1)</script>{{ 1 }}"))
    assert set(tags.found) <= {"div", "ins", "del"}
    assert tags.text.count("<script>alert(1)</script>{{ 1 }}") == 2


def test_what_nobody_gave_is_an_error(template: Path) -> None:
    template.write_text("{{ missing }}")
    with pytest.raises(jinja2.UndefinedError):
        render("test.html")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x07", "a␀b␇"),
        ("\x7f", "␡"),
        ("ab\u202ecd\u202c", "ab⟨U+202E⟩cd⟨U+202C⟩"),
        ("\u2066x\u2069\u200f", "⟨U+2066⟩x⟨U+2069⟩⟨U+200F⟩"),
        ("\u061c\ufeff\u200b", "⟨U+061C⟩⟨U+FEFF⟩⟨U+200B⟩"),
        ("\x85\x9b", "⟨U+0085⟩⟨U+009B⟩"),
        ("\ud800", "\ufffd"),
        ("one\r\ntwo\tthree\n", "one\ntwo\tthree\n"),
        ("\r", "␍"),
        ("日本 עברית ü 👩\u200d💻", "日本 עברית ü 👩\u200d💻"),
    ],
)
def test_nothing_in_a_text_is_hidden(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"))))
def test_other_texts_are_as_they_are(text: str) -> None:
    assert visible(text) == text


def test_a_long_text_is_clipped() -> None:
    assert clip("abc", 3) == "abc"
    assert clip("ab cd", 3) == "ab…"
