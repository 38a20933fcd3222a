"""The test tube: does CodecLM's data make a small model better at one user's task than other methods' data?

    python -m benchmarks.test_tube OUT              everything, 5 seeds: under an hour on two cores
    python -m benchmarks.test_tube OUT --quick      one seed, the methods that matter most: under 12 minutes

OUT gets a folder for each seed, ``table.md``, ``page.html`` and ``results.json``. Cut off, the same command goes on.
A GPU is used where there is one; --hidden, --layers, --steps, --pairs and --seeds make it all larger.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.test_tube import experiment, report, results
from benchmarks.test_tube.arms import QUICK, Arm, arms
from benchmarks.test_tube.experiment import Place, Settings
from benchmarks.test_tube.pretraining import Size, pretrain

CHECKPOINT = "start"
SETTINGS = "settings.json"
"""What an experiment's folder was made with; another one needs another folder."""


def main() -> None:
    """The command line."""
    args = _arguments()
    names = QUICK if args.quick else {arm.name for arm in arms(args.pairs)}
    names = names if args.only is None else names.intersection(args.only.split(","))
    chosen = [arm for arm in arms(args.pairs) if arm.name in names]
    size = Size(hidden=args.hidden, layers=args.layers, heads=args.heads, steps=args.steps)
    settings = Settings(pairs=args.pairs, user_items=args.items, world_items=args.items)
    args.out.mkdir(parents=True, exist_ok=True)
    _check_same(args.out, {"size": asdict(size), "settings": asdict(settings)})
    began = time.perf_counter()
    checkpoint = _checkpoint(args.out, size)
    seeds = range(1 if args.quick else args.seeds)
    places = [Place(args.out / f"seed-{seed}", checkpoint, seed, settings) for seed in seeds]
    _all_seeds(places, chosen, args.jobs)
    found = [results.read(path) for place in places for one in chosen if (path := place.result(one)).exists()]
    report.write(args.out, found, _about(size, settings))
    print((args.out / "table.md").read_text(encoding="utf-8"))
    print(f"{time.perf_counter() - began:.0f} s. Pictures: {args.out / 'page.html'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.test_tube", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the experiment's folder; the same one goes on where it was cut off")
    parser.add_argument("--quick", action="store_true", help="one seed, and the conditions that matter most")
    parser.add_argument(
        "--seeds", type=int, default=5, help="random seeds, each a user of its own (default %(default)s)"
    )
    parser.add_argument("--pairs", type=int, default=120, help="pairs of each condition (default %(default)s)")
    parser.add_argument("--items", type=int, default=300, help="items of each test set (default %(default)s)")
    parser.add_argument("--only", help="conditions by name, with commas between")
    parser.add_argument(
        "--jobs", type=int, default=min(2, os.cpu_count() or 1), help="seeds at once (default %(default)s)"
    )
    usual = Size()
    parser.add_argument("--hidden", type=int, default=usual.hidden, help="the target's width (default %(default)s)")
    parser.add_argument("--layers", type=int, default=usual.layers, help="its layers (default %(default)s)")
    parser.add_argument("--heads", type=int, default=usual.heads, help="its attention heads (default %(default)s)")
    parser.add_argument("--steps", type=int, default=usual.steps, help="steps of pre-training (default %(default)s)")
    return parser.parse_args()


def _check_same(out: Path, values: dict[str, Any]) -> None:
    """Exit where the folder was made with other settings: its results would not be of one experiment."""
    path = out / SETTINGS
    if not path.exists():
        path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    elif (before := json.loads(path.read_bytes())) != values:
        raise SystemExit(f"{path}: made with {before}, and asked for is {values}. Choose another folder.")


def _checkpoint(out: Path, size: Size) -> Path:
    """The folder of the pre-trained start checkpoint, made if it is not there whole."""
    folder = out / CHECKPOINT
    if not folder.exists():
        partial = out / f"{CHECKPOINT}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        began = time.perf_counter()

        def tell(step: int, loss: float) -> None:
            if step % 100 == 0:
                left = (time.perf_counter() - began) / step * (size.steps - step)
                print(f"pre-training: step {step:,} of {size.steps:,}, loss {loss:.3f}, {left:.0f} s left", flush=True)

        pretrain(partial, size, tell=tell)
        partial.rename(folder)
    return folder


def _all_seeds(places: list[Place], chosen: list[Arm], jobs: int) -> None:
    """Work on all seeds, ``jobs`` at once, each in a process with one thread: small matrices gain nothing from two."""
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for done in [pool.submit(experiment.work, place, chosen) for place in places]:
            done.result()


def _about(size: Size, settings: Settings) -> dict[str, str]:
    libraries = ("codeclm", "torch", "transformers", "trl")
    return {
        "machine": "{cpu}, {cores} cores, {memory_gib} GiB".format(**machine()),
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in libraries)]
        ),
        "date": datetime.now(UTC).date().isoformat(),
        "target": ", ".join(f"{name} {value}" for name, value in asdict(size).items()),
        "settings": ", ".join(f"{name} {value}" for name, value in asdict(settings).items()),
    }


if __name__ == "__main__":
    main()
