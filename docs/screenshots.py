"""The pictures of docs/studio.md and docs/report.md, taken of a real demo run: ``python docs/screenshots.py``.

Makes a run on simulated models in a temporary folder, serves it with ``codeclm studio``, and has a headless Chromium
visit the pages. Needs what `make check` installs. Texts are the same each time; times and durations are not.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Final

from playwright.sync_api import Page, sync_playwright

PICTURES: Final = Path(__file__).parent / "pictures"
CODECLM: Final = (sys.executable, "-m", "codeclm")
ENOUGH: Final = 40  # examples that a run at work has kept when it is looked at
SLOW: Final = ("--latency", "0.4")  # so that a run at work is seen at work


@contextmanager
def told(command: tuple[str, ...], pattern: str) -> Iterator[str]:
    """A command that serves, and what it says of where."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = next(filter(None, (re.search(pattern, line) for line in process.stdout)))
        yield found[0]
        process.terminate()


def take(page: Page, name: str, path: str = "", ready: str = "main", height: int = 860) -> None:
    """One picture of the top of a page, in PNG; ``ready`` is what it waits for."""
    page.set_viewport_size({"width": 1280, "height": height})
    if path:
        page.goto(path)
    page.locator(ready).first.wait_for()
    page.screenshot(path=PICTURES / f"{name}.png")
    print(f"wrote {PICTURES / name}.png")


def main() -> None:
    """Take all of them."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        subprocess.run([*CODECLM, "demo", "--run-dir", str(runs / "demo"), "--size", "200"], check=True)
        subprocess.run([*CODECLM, "init", str(Path(folder) / "mine")], check=True, stdout=subprocess.DEVNULL)
        simulator = told((*CODECLM, "simulate", "--port", "0", *SLOW), r"http://[\d.:]+/v1")
        studio = told((*CODECLM, "studio", str(runs), "--port", "0"), r"http://[\d.:]+")
        with simulator as models, studio as base, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=which("chromium"), chromium_sandbox=False)
            page = browser.new_context(device_scale_factor=1).new_page()
            finished(page, base)
            at_work(page, base, models, Path(folder) / "mine" / "config.yaml", runs / "mine")
            take(page, "report", (runs / "demo" / "report.html").as_uri(), "svg.chart", 1180)
            browser.close()


def finished(page: Page, base: str) -> None:
    """The pages of a run that has ended."""
    take(page, "outcomes", f"{base}/runs/demo/outcomes?q=club&status=kept", "#status")
    take(page, "overview", f"{base}/runs/demo", "svg.chart", 1180)
    take(page, "threshold", f"{base}/runs/demo/threshold?threshold=5", "input[type=range]")
    page.goto(f"{base}/runs/demo/outcomes?status=kept&iteration=2")
    page.locator("table.outcomes a").first.click()
    take(page, "example", ready="ol.way", height=1180)
    page.goto(f"{base}/runs/demo/compare")
    page.get_by_label("Items").fill("20")
    page.get_by_role("button", name="Draw a set and begin").click()
    page.get_by_label("Your name").fill("ada")
    page.keyboard.press("Enter")
    take(page, "compare", ready=".choices")
    page.goto(f"{base}/new")
    page.get_by_text("Samples, for a first try").click()
    page.get_by_role("button", name="Plan the run").click()
    take(page, "plan", ready="#start", height=1000)


def at_work(page: Page, base: str, models: str, config: Path, run_dir: Path) -> None:
    """A run while it works."""
    values = [f"run_dir={run_dir}", "size=100", "budget.usd=5"]
    for name in ("strong", "target"):
        values += [f"models.{name}.base_url={models}", f"models.{name}.price={{input: 1, output: 4}}"]
    settings = [part for value in values for part in ("--set", value)]
    with subprocess.Popen([*CODECLM, "run", str(config), *settings], stdout=subprocess.DEVNULL) as run:
        while not (run_dir / "manifest.json").exists():
            page.wait_for_timeout(200)
        page.goto(f"{base}/runs/mine")
        while int(page.locator(".tiles .number").first.inner_text()) < ENOUGH:
            page.wait_for_timeout(500)
        take(page, "live", ready="progress")
        run.terminate()


if __name__ == "__main__":
    main()
