"""Pages of comparisons and alignments in the studio: listed, shut off, and linked to the reports of their runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.studio.served import made_run, studio


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A comparison of two runs, and a study of its size."""
    folder = tmp_path / "runs" / "all of them"
    for name in ("codeclm", "alpagasus"):
        (made_run(folder / name) / "report.html").write_text(f"<!doctype html><h1>{name}</h1>")
    (folder / "comparison.html").write_text("<!doctype html><h1>Side by side</h1><script>alert(1)</script>")
    (folder / "study-size.html").write_text("<!doctype html><h1>By size</h1>")
    (folder / "other.html").write_text("<!doctype html><h1>Not ours</h1>")
    return tmp_path / "runs"


async def test_they_are_listed_and_opened_shut_off(runs: Path) -> None:
    async with studio(runs) as browser:
        listed = (await browser.get("/")).text
        addresses = re.findall(r'href="(/together/[^"]+)"><bdi>all of them</bdi>, ([^<]+)<', listed)
        assert [kind for _, kind in addresses] == ["comparison", "study: size"]
        answer = await browser.get(addresses[0][0])
        assert "Side by side" in answer.text
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert "script-src" not in answer.headers["Content-Security-Policy"]


async def test_their_links_lead_to_the_reports_of_their_runs(runs: Path) -> None:
    async with studio(runs) as browser:
        address = re.findall(r'href="(/together/[^"]+)"', (await browser.get("/")).text)[0]
        answer = await browser.get(f"{address}codeclm/report.html")
        assert answer.status == 303
        assert "<h1>codeclm</h1>" in (await browser.get(answer.headers["Location"])).text
        for name in ("nobody", "..", "%2e%2e%2fall%20of%20them"):
            assert (await browser.get(f"{address}{name}/report.html")).status == 404
        assert (await browser.get("/together/0123456789/")).status == 404


async def test_links_are_not_followed(runs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "comparison.html"
    secret.write_text("a secret")
    (runs / "comparison.html").symlink_to(secret)
    (runs / "elsewhere").symlink_to(tmp_path)
    async with studio(runs) as browser:
        assert (await browser.get("/")).text.count("/together/") == 2
