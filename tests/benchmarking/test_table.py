"""Tables are for a terminal of 80 columns, whatever was measured."""

from io import StringIO
from typing import Any

import pytest
from benchmarks import table
from benchmarks.figures import Figure, figure
from benchmarks.ratios import ratio
from benchmarks.suite import HERE, Measured, listed
from rich.console import Console

LONG = "256 in flight at 200 ms, with metadata of 100,000 entries: wall / ideal"
FOUND = [
    Measured("overhead", 9.0, (figure("CPU", "ms/call", [0.4, 0.45, 0.5]), figure(LONG, "ms/example", 1234567.0))),
    Measured("resume", 3.0, (Figure("made again", 0.0, "calls", "higher", 0.0, 0.0),)),
    Measured("peers", 0.1, unavailable="no peer is installed: [make] them " + "so " * 40),
    Measured("chaos", 0.2, failed="RuntimeError: [red]lost[/red] an example"),
]


@pytest.fixture
def out() -> Console:
    return Console(file=StringIO(), width=table.WIDTH, highlight=False)


def said(out: Console) -> str:
    assert isinstance(out.file, StringIO)
    text = out.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    return text


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_figures_with_units_and_ranges(out: Console) -> None:
    table.measured(out, FOUND)
    text = said(out)
    assert ["overhead", "CPU", "0.450", "ms/call", "0.400-0.500", "low"] in words(text)
    assert ["resume", "made", "again", "0", "calls", "high"] in words(text)
    assert "1,234,567" in text
    assert "chaos FAILED: RuntimeError: [red]lost[/red] an example" in text
    assert "peers skipped: no peer is installed: [make] them" in text


def test_ratios_with_their_verdicts(out: Console) -> None:
    rows = {
        LONG: ratio([(1.0, 0.5), (1.0, 0.52), (1.1, 0.54)], "lower"),
        "CPU": ratio([(1.0, 1.1), (1.0, 0.9)], "lower"),
        "calls": ratio([(3.0, 3.0)], "lower"),
        "repeated": ratio([(0.0, 3.0)], "lower"),
        "throughput": ratio([(1000.0, 900.0), (1000.0, 910.0)], "higher"),
    }
    table.compared(out, [(Measured("overhead", 1.0), rows), (FOUND[3], {})])
    text = said(out)
    for line in ("BETTER", " noise", "the same", " unclear", "WORSE", "chaos FAILED"):
        assert line in text
    assert ["throughput", "1,000", "905", "0.905", "0.84-0.97", "WORSE"] in words(text)


def past(number: int, **more: Any) -> dict[str, Any]:
    kept = {"figures": {"CPU": {"value": 0.4 + number / 100, "unit": "ms/call"}, LONG: {"value": 1e6, "unit": ""}}}
    return {
        "date": f"2026-11-{number:02}T10:00:00+00:00",
        "commit": f"{number:x}" * 40,
        "dirty": number % 2 == 1,
        "benchmarks": {"overhead": kept},
    } | more


def test_the_latest_records_beside_each_other(out: Console) -> None:
    ratios = {"CPU": {"ratio": 0.93, "verdict": "better"}, "new": {"ratio": 1.01, "verdict": "noise"}}
    compared = past(9, against={"commit": "a" * 40, "rounds": 5}, benchmarks={"overhead": {"ratios": ratios}})
    nothing = past(8, benchmarks={"overhead": {"failed": "lost"}})
    table.over_time(out, [past(number) for number in range(1, 8)] + [nothing, compared], ["overhead", "peers"])
    text = said(out)
    assert "overhead: 5 of 8 records" in text
    assert "peers: 0 of 0 records" in text
    assert ["CPU,", "ms/call", "0.440", "0.450", "0.460", "0.470", "x0.93"] in words(text)
    assert "~x1.01" in text
    assert "8888888" not in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.0004, "4.0e-04"), (0.0247, "0.0247"), (0.5, "0.500"), (1.25, "1.25"), (99.94, "99.9"),
     (412.6, "413"), (39123.0, "39,123"), (3.0, "3"), (-0.25, "-0.250")],
)  # fmt: skip
def test_numbers(value: float, shown: str) -> None:
    assert table.number(value) == shown


def test_what_is_listed(out: Console) -> None:
    suite, scripts = listed()
    assert set(suite) == {"chaos", "engines", "overhead", "peers", "resume", "scale"}
    assert {"audit", "studio", "plan", "limits"} <= set(scripts)
    assert not set(scripts) & {"figures", "one", "__main__", "history", "simulated", *suite}
    assert all(suite.values())
    table.listing(out, suite, scripts)
    assert "evaluation_statistics" in said(out)
    assert HERE.name == "benchmarks"
