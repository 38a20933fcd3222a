"""What tells of a machine does not leave it with a report; what was written by models, seeds and people stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.aligning.test_page import _alignment
from tests.comparing.test_pictures import made_of, row
from tests.dataset.samples import failed, iteration, kept
from tests.reporting.run_files import write_run
from tests.reporting.test_report import page_of

from codeclm.aligning.page import write_page
from codeclm.comparing.page import write_pages
from codeclm.comparing.side_by_side import as_json
from codeclm.records import Failure
from codeclm.reporting import drawing
from codeclm.reporting.sendable import sendable

PRIVATE = (
    "sk-proj-abc*****h123", "http://10.2.3.4:8000/v1/chat", "https://gateway.corp.internal/openai?user=zebedee",
    "10.2.3.4:8000", "192.168.1.7", "[fe80::1]:8000", "gpu-box.corp.internal:8000", "localhost:11434",
    "/home/zebedee/models/strong", "/Users/zebedee/x", "C:\\Users\\zebedee\\runs", "~zebedee/.ssh/id",
    "~/.config/codeclm/keys", "sk-ant-api03-abcdefgh", "hf_abcdefghijkl", "AIzaSyA-1234567890abc", "abc***xyz",
    "zebedee@corp.example.com",
)  # fmt: skip
SAID = "Cannot connect to host gpu-box:8000 (strong (/home/zebedee/models/strong at http://10.2.3.4:8000/v1)): {}."
TELLING = (
    "zebedee", "10.2.3.4", "192.168", "corp", "gpu-box", ":8000", "11434", "fe80", "sk-", "h123", "hf_", "AIza", "xyz",
    "/home", "Users", "ssh",
)  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_what_tells_of_a_machine_is_taken_out(text: str) -> None:
    for said in (text, f"at {text}: refused", f"({text})", f'"{text}"', f"{text}, {text}.", SAID.format(text)):
        told = sendable(said)
        assert not [one for one in TELLING if one in told], (said, told)
        assert sendable(told) == told


@pytest.mark.parametrize(
    "text",
    [
        "org/model-7b", "gpt-5.2", "strong", "examples.jsonl:7: not a row", "3 of 8", "and/or", "1/2/2026 12:30",
        "a / b", "HTTP 500: server error", "models.strong.api_key_env", "**bold**", "gap 3.5", "vicuna", "12:30:59",
        "version 1.2.3", "no action in the reply", "Write a letter. 日本語", "skill/other", "ratio 3:20",
        "audit.json: examples: Field required",
    ],
)  # fmt: skip
def test_what_tells_of_none_stays(text: str) -> None:
    assert sendable(text) == text


def test_the_name_of_a_file_stays() -> None:
    assert sendable("/home/zebedee/runs/one/audit.json: not readable") == "…/audit.json: not readable"
    assert sendable("POST /v1/chat/completions") == "POST …/completions"


@given(st.text(alphabet="a/\\.:~ *-@1[]s", max_size=40))
def test_doing_it_twice_changes_nothing_more(text: str) -> None:
    assert sendable(sendable(text)) == sendable(text)


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "find_spec", lambda name: None)


@pytest.mark.usefixtures("no_charts")
def test_no_report_tells_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "value-of-the-key")
    said = " ".join(SAID.format(text) for text in PRIVATE)
    model = {"model": "/home/zebedee/models/strong", "base_url": "http://10.2.3.4:8000/v1"}
    outcome = failed(iteration("Write a poem.", (6, 6)))
    lost = replace(outcome, failure=Failure("encode", "server", said, raw=f"<h1>502</h1> upstream {said}"))
    last = iteration("Write.", (9, 2))
    assert last.strong
    named = replace(last, strong=replace(last.strong, model=model["model"]))
    calls = [{"stage": "encode", "model": model["model"], "calls": 3, "prompt_tokens": 5, "completion_tokens": 7}]
    run = write_run(
        tmp_path / "run", [kept("000001.0", named)], [], [lost], state="failed", error=said, calls=calls,
        models={"strong": model, "target": model}, method={"name": "codeclm", "source": "/home/zebedee/mine.py:run"},
        spending=[{"model": model["model"], "price": {"input": "1", "output": "2"}}],
    )  # fmt: skip
    names = {"benchmark": "/home/zebedee/bench.jsonl", "candidate": model["model"], "reference": said}
    evaluation = names | {"rule": "strict", "items": 4, "wins": 1, "ties": 1, "losses": 2, "crr": 0.5}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    (run / "audit.json").write_text("no audit")
    page = page_of(run)
    assert not [one for one in (*TELLING, str(tmp_path), "value-of-the-key") if one in page]
    for told in ("…/strong", "…/audit.json", "…/bench.jsonl", "[address]", "[key]"):
        assert told in page


@pytest.mark.usefixtures("no_charts")
def test_what_a_model_said_stays_as_it_is(tmp_path: Path) -> None:
    text = "See https://example.com/a and /usr/share/dict/words, or write to zebedee@example.com."
    unread = failed(iteration(text, (6, 6)))
    assert unread.failure
    outcome = replace(unread, failure=replace(unread.failure, cause="unparseable", raw=text))
    assert page_of(write_run(tmp_path, [kept("000001.0", iteration(text, (9, 3)))], [], [outcome])).count(text) >= 4


@pytest.mark.usefixtures("no_charts")
def test_no_page_of_several_runs_tells_of_the_machine(tmp_path: Path) -> None:
    said = " ".join(SAID.format(text) for text in PRIVATE)
    made = replace(made_of(row("codeclm", problem=said)), left_out=(("wizardlm", said),))
    (tmp_path / "comparison.json").write_bytes(as_json(made))
    named = {"benchmark": "/home/zebedee/bench.jsonl", "ended": said}
    (tmp_path / "alignment.json").write_text(json.dumps(_alignment(**named)))
    for written in (*write_pages(tmp_path), *write_page(tmp_path)):
        page = written.path.read_text()
        assert not [one for one in (*TELLING, str(tmp_path)) if one in page], written.path
