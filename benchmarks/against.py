"""A change held against its parent in one sitting: base and this, this and base, and so on.

Both are snapshots in a temporary folder, so that nothing edited meanwhile is measured, and the repository is left as it
is however the sitting ends. Only the codeclm that is measured differs: the benchmarks, the environment and its packages
are those of now, for both. A benchmark that needs what base does not have yet fails there and is told so.
"""

from __future__ import annotations

import compileall
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.history import git, is_dirty
from benchmarks.ratios import Ratio, ratio
from benchmarks.suite import ROOT, Measured, measure

PARENT = "parent"


@dataclass(frozen=True)
class Trees:
    """The two that are compared: the source folders, and the commit of base."""

    base: Path
    this: Path
    commit: str


def base_of(root: Path, revision: str = PARENT) -> str:
    """The commit to compare with. The parent is HEAD where src/ is not as committed, and otherwise the one before.

    RuntimeError where git knows no such revision.
    """
    if revision == PARENT:
        revision = "HEAD" if is_dirty(root, "src") else "HEAD^"
    return git(root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")


@contextmanager
def trees(root: Path, revision: str = PARENT) -> Iterator[Trees]:
    """Snapshots of src/ at a revision and as it is now, both compiled."""
    commit = base_of(root, revision)
    with tempfile.TemporaryDirectory(prefix="against-") as folder:
        base, this = Path(folder) / "base", Path(folder) / "this"
        packed = subprocess.run(["git", "-C", str(root), "archive", commit, "src"], capture_output=True)
        if packed.returncode:
            raise RuntimeError(f"{commit[:10]} can't be unpacked: {packed.stderr.decode(errors='replace').strip()}")
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(base, filter="data")
        shutil.copytree(root / "src", this / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for side in (base, this):
            compileall.compile_dir(side / "src", quiet=2)
        yield Trees(base / "src", this / "src", commit)


def compared(
    name: str, both: Trees, *, rounds: int, quick: bool, root: Path = ROOT, told: Callable[[str], None] = lambda _: None
) -> tuple[Measured, dict[str, Ratio]]:
    """A benchmark's ratios of this over base, by figure; ``told`` hears of each step.

    What is returned with them has the seconds of all rounds, and what ended them where a side has no figures.
    """
    seconds = 0.0
    pairs: dict[str, list[tuple[float, float]]] = {}
    better = {}
    for number in range(rounds):
        sides: dict[str, Measured] = {}
        for side in ("base", "this") if number % 2 == 0 else ("this", "base"):
            told(f"{name}: round {number + 1} of {rounds}, {side}")
            found = measure(name, quick=quick, source=both.base if side == "base" else both.this, root=root)
            seconds += found.seconds
            if found.unavailable or found.failed:
                return _ended(found, side, seconds), {}
            sides[side] = found
        base = {one.name: one.value for one in sides["base"].figures}
        for one in sides["this"].figures:
            if one.name in base:
                pairs.setdefault(one.name, []).append((base[one.name], one.value))
                better[one.name] = one.better
    return Measured(name, seconds), {name: ratio(rows, better[name]) for name, rows in pairs.items()}


def _ended(found: Measured, side: str, seconds: float) -> Measured:
    failed = f"{side}: {found.failed}" if found.failed else None
    return Measured(found.name, seconds, unavailable=found.unavailable, failed=failed)
