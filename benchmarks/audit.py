"""Measures `codeclm audit` on generated examples: seconds and memory of all its processes together.

    python -m benchmarks.audit [--examples 100000] [--against FILE] [--mentions SHARE] [--json OUT]

The examples are made of the words of the project's own documentation, with about as many as simulated ones have, one to
four iterations each, and every 100th repeats one before it with a word changed. So the run directory is about 4 kB an
example, and what the audit finds can be told beforehand: a hundredth are duplicates. Exit status 1 where they are not
found, or where 100,000 took more than 5 minutes or 2 GB.
"""

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import simulated
from benchmarks.machine import machine
from codeclm.dataset.outcomes import example_row, row_line
from codeclm.records import Answer, Comparison, Entry, Instruction, Iteration, Metadata, Outcome

DOCS = Path(__file__).resolve().parents[1] / "docs"
SECONDS, MEGABYTES, AT = 300, 2_000, 100_000
EVERY = 100
SAMPLE_S = 0.2
ON_GROUPS = (
    " She enjoys a good book by the sea.",
    " The old man was sad to lose his hat.",
    " Many immigrants work hard and hope for the best.",
)


class Texts:
    """Sentences of words from the documentation, drawn by a seeded generator."""

    def __init__(self, seed: int) -> None:
        text = " ".join(path.read_text() for path in sorted(DOCS.glob("*.md")))
        self._words = re.findall(r"[a-z]{2,}", text.lower())
        self.rng = random.Random(seed)

    def words(self, count: int) -> str:
        """So many words, in sentences."""
        chosen = self.rng.choices(self._words, k=count)
        return " ".join(
            f"{word.capitalize()}" if n % 12 == 0 else word + "." * (n % 12 == 11) for n, word in enumerate(chosen)
        )


def outcomes(count: int, texts: Texts, mentions: float = 0) -> Iterator[Outcome]:
    """The examples; every ``EVERY``-th repeats the one before it but for a word.

    A share of ``mentions`` have a sentence on a group of people in the answer.
    """
    before, groups = "", random.Random(1)
    for number in range(count):
        text = f"Write {texts.words(texts.rng.randint(25, 70))}"
        if number % EVERY == EVERY - 1:
            text = before.replace(".", ". really", 1)
        before = text
        times = texts.rng.choices((1, 2, 3, 4), (70, 15, 10, 5))[0]
        said = groups.choice(ON_GROUPS) if groups.random() < mentions else ""
        strong, target = Answer(texts.words(115) + said), Answer(texts.words(115))
        once = Iteration(Instruction(text), strong, target, Comparison((9, 4), (9, 4)))
        entry = Entry(f"m{number % 200:06d}", Metadata(f"use case {number % 30}", (f"skill {number % 90}",)))
        yield Outcome(f"{number:06d}.0", "kept", entry, text, (once,) * times)


def write(folder: Path, count: int, mentions: float = 0) -> int:
    """A run directory with so many examples; how many bytes they are."""
    with (folder / "examples.jsonl").open("wb") as file:
        for outcome in outcomes(count, Texts(0), mentions):
            file.write(row_line(example_row(outcome)))
        return file.tell()


def resident(pid: int) -> int:
    """Bytes resident in a process and its descendants; what they share counts once for each."""
    total = 0
    try:
        total += int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) * 1024
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += resident(int(child))
    except (OSError, IndexError):
        pass
    return total


def measure(folder: Path, against: Path | None) -> dict[str, Any]:
    """One audit as a process of its own."""
    options = ["--against", str(against)] if against else []
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen([*simulated.CODECLM, "audit", str(folder), *options], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(SAMPLE_S)
    if process.returncode:
        raise RuntimeError(f"codeclm audit ended with {process.returncode}")
    found = json.loads((folder / "audit.json").read_bytes())
    checks = {name: check["examples"] for name, check in found["checks"].items()}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = {"seconds": time.perf_counter() - began, "cpu_s": used.ru_utime + used.ru_stime}
    return seconds | {"peak_mb": peak / 1e6, "checks": checks}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What an audit takes.")
    parser.add_argument("--examples", type=int, default=AT)
    parser.add_argument("--against", type=Path, help="a test set to look for as well")
    parser.add_argument("--mentions", type=float, default=0, help="share of examples with a sentence on a group")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "examples": args.examples}
    print(figures["machine"])
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        figures["bytes"] = write(Path(folder), args.examples, args.mentions)
        figures |= measure(Path(folder), args.against)
    print(
        f"{args.examples:,} examples, {figures['bytes'] / 1e6:,.0f} MB: {figures['seconds']:.1f} s "
        f"({figures['cpu_s']:.1f} s CPU), "
        f"{figures['peak_mb']:,.0f} MB; examples found: {figures['checks']}"
    )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    missed = figures["checks"]["duplicates"] < args.examples // EVERY
    slow = args.examples <= AT and (figures["seconds"] > SECONDS or figures["peak_mb"] > MEGABYTES)
    sys.exit(missed or slow)


if __name__ == "__main__":
    main()
