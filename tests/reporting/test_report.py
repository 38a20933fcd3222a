"""The page of a run: whatever is in the files is text in it, it asks nobody for anything, and it is one small file."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dataset.samples import KEPT, kept
from tests.reporting.run_files import spoken, write_run, write_spoken

from codeclm import run_directory
from codeclm.config import SIMULATOR
from codeclm.dataset.outcomes import example_row, row_line
from codeclm.edits import Edit, add_edit, digest_of, now
from codeclm.errors import RunDirectoryError
from codeclm.pages.rendering import visible
from codeclm.reporting import drawing
from codeclm.reporting.facts import read_facts
from codeclm.reporting.report import report_page, write_report

MOST_BYTES: Final = 3_000_000

_HTML = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "main", "footer", "h1", "h2", "h3", "h4", "p",
    "small", "span", "bdi", "div", "dl", "dt", "dd", "nav", "ul", "li", "section", "figure", "figcaption", "details",
    "summary", "table", "caption", "thead", "tbody", "tr", "th", "td", "article", "ol", "ins", "del", "strong",
}  # fmt: skip
_SVG = {"svg", "g", "path", "line", "text", "rect", "defs", "clippath", "lineargradient", "stop", "tspan"}
_ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "href", "id", "aria-labelledby", "aria-label",
    "tabindex", "role", "dir", "scope", "open",
}  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)", "javascript:alert(1)",
    "</style><script>alert(1)</script>", "</title></head><body onload=alert(1)>", "<!--", "]]>",
    "<svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}", "${7*7}", "&lt;b&gt; &amp;", "</textarea><iframe src=//evil.example>", "https://evil.example/",
    "\u202eabc\u202c", "a\u0000b\u0007c\u009f", "\u2028\u2029", "שלום עולם", "مرحبا بالعالم", "👩‍🚀🧪" * 10, "字" * 300,
    "<a href='//evil.example'>x</a>", "url(//evil.example)", "@import '//evil.example'", "\ufeff", "\x1b[31mred\x1b[0m",
    "<base href=//evil.example>", "<meta http-equiv=refresh content=0>", "\\u003cscript\\u003e", "%3Cscript%3E",
    "\ue000",
)  # fmt: skip


class Parsed(HTMLParser):
    """A page taken apart: its elements, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.inside_svg = 0
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        self.text = "".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.inside_svg += tag == "svg"
        names = {name for name, _ in attrs}
        assert tag in (_SVG if self.inside_svg else _HTML), tag
        assert self.inside_svg or names <= _ATTRIBUTES, names - _ATTRIBUTES
        assert not {name for name in names if name.startswith("on") or name in ("style", "src", "xlink:href")}, names
        self.attributes |= {(name, value or "") for name, value in attrs}

    def handle_endtag(self, tag: str) -> None:
        self.inside_svg -= tag == "svg"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    def links(self) -> set[str]:
        """Everything that names another place."""
        return {value for name, value in self.attributes if name in ("href", "src", "action", "xlink:href", "srcset")}


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the packages that draw are not installed: much quicker."""
    monkeypatch.setattr(drawing, "find_spec", lambda name: None)


def page_of(folder: Path) -> str:
    return report_page(read_facts(folder))


def test_hostile_texts_are_text_in_every_place(tmp_path: Path) -> None:
    page = page_of(write_spoken(tmp_path / "run", *HOSTILE))
    parsed = Parsed(page)
    assert parsed.links() <= {"#content"} | {f"#{name}" for name in _sections(parsed)}
    for text in HOSTILE:
        assert visible(" ".join(text.split())[:80]) in parsed.text, text
    assert "49" not in visible(HOSTILE[9])
    for forbidden in ("\x00", "\x1b", "\u202e", "\u2028"):
        assert forbidden not in page


def _sections(parsed: Parsed) -> set[str]:
    return {value for name, value in parsed.attributes if name == "id"}


@pytest.mark.usefixtures("no_charts")
@settings(max_examples=60)
@given(text=st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)))
def test_no_text_becomes_markup(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = write_spoken(tmp_path_factory.mktemp("spoken"), text)
    page = page_of(folder)
    parsed = Parsed(page)
    assert all(link.startswith("#") for link in parsed.links())
    assert visible(text).strip() in parsed.text
    assert not [character for character in text if visible(character) != character and character in page]


@pytest.mark.usefixtures("no_charts")
def test_huge_texts_make_no_huge_page(tmp_path: Path) -> None:
    folder = write_spoken(
        tmp_path / "run", *("& <b>".join(["word " * 20_000] * 2) + str(number) for number in range(3))
    )
    assert (folder / "examples.jsonl").stat().st_size > 5_000_000
    assert len(page_of(folder).encode()) < 150_000  # of which 15,000 are styles


@pytest.mark.usefixtures("no_charts")
def test_very_many_iterations_are_not_all_shown(tmp_path: Path) -> None:
    rounds = spoken("much", 0).iterations * 500
    page = page_of(write_run(tmp_path / "run", [kept("a", *rounds[1:])]))
    assert "Its first 989 iterations are left out" in page
    assert len(page.encode()) < MOST_BYTES


@pytest.mark.usefixtures("no_charts")
def test_many_names_make_no_huge_page(tmp_path: Path) -> None:
    outcomes = [spoken(f"use case number {number} with a name of ninety characters, which is long " * 2, number)
                for number in range(300)]  # fmt: skip
    page = page_of(write_run(tmp_path / "run", outcomes))
    assert "Use cases: 302 in all, the 12 most frequent" in page
    assert len(page.encode()) < MOST_BYTES


def test_it_is_the_same_each_time_and_refers_to_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    parsed = Parsed(first.decode())
    assert "script" not in parsed.tags
    assert "svg" in parsed.tags
    assert {link[0] for link in parsed.links()} == {"#"}
    assert {link[1:] for link in parsed.links()} <= _sections(parsed)
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in parsed.attributes
    assert not any(word in first for word in (b"@import", b"url(http", b"secret.internal", str(tmp_path).encode()))


@pytest.mark.usefixtures("no_charts")
def test_it_tells_what_the_files_say(tmp_path: Path) -> None:
    text = Parsed(page_of(write_run(tmp_path / "run"))).text
    for told in (
        "3 of 8 instructions became examples", "67% of the examples are as first written", "4 failed",
        "org/target_1b", "made with org/strong-9b", "Explain spring tides", "the model declined", "5eed",
    ):  # fmt: skip
        assert told in text, told
    assert "Simulated text" not in text
    assert "Audit" not in text
    assert "CRR" not in text


@pytest.mark.usefixtures("no_charts")
def test_simulated_text_is_warned_of(tmp_path: Path) -> None:
    models = {"strong": {"model": "s", "base_url": SIMULATOR}, "target": {"model": "t", "base_url": "http://x/v1"}}
    assert "Simulated text: for rehearsal" in page_of(write_run(tmp_path, models=models))


@pytest.mark.usefixtures("no_charts")
@pytest.mark.parametrize(("state", "told"), [("stopped", "was stopped"), ("failed", "failed"), ("running", "at work")])
def test_a_run_that_is_not_complete_is_told_so(tmp_path: Path, state: str, told: str) -> None:
    page = page_of(write_run(tmp_path, state=state, error="the <budget> is used up"))
    assert f"The run {told}" in page or told in page
    assert "the &lt;budget&gt; is used up" in page


@pytest.mark.usefixtures("no_charts")
def test_a_manifest_of_another_run_than_the_files_is_told(tmp_path: Path) -> None:
    assert "The last run came to 2 examples; the files hold 3" in page_of(write_run(tmp_path, counts={"kept": 2}))
    assert "The last run came to" not in page_of(write_run(tmp_path))


@pytest.mark.usefixtures("no_charts")
def test_edits_are_told_and_shown_as_a_persons(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    add_edit(run, Edit(KEPT[0].id, "edit", None, "A better answer.", digest_of(KEPT[0]), now()))
    page = page_of(run)
    assert "A person edited 1 of the examples and dropped 0." in page
    assert "A better answer." in page
    assert page.count("edited by a person</span>") == 1


@pytest.mark.usefixtures("no_charts")
def test_without_the_packages_that_draw_there_are_tables_and_one_line_says_so(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path))
    assert "<svg" not in page
    assert page.count("altair and vl_convert is not installed") == 1
    assert "pip install &#39;codeclm[charts]&#39;" in page
    assert "The figures</summary>" not in page
    assert "3 of 8 instructions became examples" in page


@pytest.mark.usefixtures("no_charts")
def test_a_run_without_any_outcome_has_a_page(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, [], [], [], state="stopped", calls=[], counts={}))
    assert "No instruction has come to an end yet." in page
    Parsed(page)


@pytest.mark.usefixtures("no_charts")
def test_a_method_without_comparison_has_no_gaps(tmp_path: Path) -> None:
    outcome = spoken("plain", 0)
    final = outcome.final.__class__(outcome.final.instruction, strong=outcome.final.strong)
    page = page_of(write_run(tmp_path, [kept("a", final)], [], []))
    assert "This method compares no answers" in page
    assert "Where the target is weak" not in page


@pytest.mark.usefixtures("no_charts")
def test_it_is_written_beside_the_run_and_nothing_else_is_touched(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert write_report(run) == run / run_directory.REPORT
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.name != run_directory.REPORT} == before
    with pytest.raises(RunDirectoryError):
        write_report(tmp_path)


@pytest.mark.usefixtures("no_charts")
def test_examples_alone_have_a_page(tmp_path: Path) -> None:
    (tmp_path / "examples.jsonl").write_bytes(b"".join(row_line(example_row(outcome)) for outcome in KEPT))
    page = page_of(tmp_path)
    Parsed(page)
    assert "There is no manifest.json beside the examples" in page
