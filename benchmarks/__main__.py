"""The benchmarks as one suite: all of them or the named ones, one table, and a history.

    python -m benchmarks [NAME ...] [--quick]                       measure this tree
    python -m benchmarks [NAME ...] [--quick] --against [REVISION]  hold it against its parent, or another revision
    python -m benchmarks [NAME ...] [--quick] --history             how the figures went on this machine
    python -m benchmarks --list                                     what there is

Each benchmark runs in a process of its own, one after the other. The exit status is 1 where one failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import history, table
from benchmarks.against import PARENT, compared, trees
from benchmarks.ratios import MOST_ROUNDS, Ratio
from benchmarks.suite import ROOT, Measured, listed, measure


def arguments(suite: list[str]) -> argparse.Namespace:
    """The command line's. Ends with 2 where they make no sense."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The benchmarks as one suite.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(suite)} (all)")
    parser.add_argument("--quick", action="store_true", help="small sizes: all of them in a few minutes")
    parser.add_argument(
        "--against",
        nargs="?",
        const=PARENT,
        metavar="REVISION",
        help="compare with this revision, by default the parent",
    )
    parser.add_argument("--rounds", type=int, default=5, help="of --against: how many pairs (5)")
    parser.add_argument("--history", action="store_true", help="measure nothing: show what was measured before")
    parser.add_argument("--list", action="store_true", help="the benchmarks, and those that only run by themselves")
    parser.add_argument("--no-record", action="store_true", help="add nothing to the history")
    parser.add_argument("--history-file", type=Path, default=history.PATH)
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in suite]:
        parser.error(f"no benchmark is named {unknown[0]!r}; there are {', '.join(suite)} (--list says more)")
    if args.against in suite:
        parser.error(f"{args.against!r} is a benchmark, not a revision: name benchmarks before --against")
    if not 1 <= args.rounds <= MOST_ROUNDS:
        parser.error(f"--rounds must be 1 to {MOST_ROUNDS}")
    return args


def measured(names: list[str], out: Console, record: dict[str, Any], *, quick: bool) -> list[Measured]:
    """Measure this tree."""
    found = []
    for name in names:
        out.print(f"{name} ...", style="dim")
        found.append(measure(name, quick=quick))
        record["benchmarks"][name] = history.kept(found[-1])
    table.measured(out, found)
    return found


def held_against(names: list[str], out: Console, record: dict[str, Any], args: argparse.Namespace) -> list[Measured]:
    """Hold this tree against another revision."""
    found: list[tuple[Measured, dict[str, Ratio]]] = []
    with trees(ROOT, args.against) as both:
        record["against"] = {"commit": both.commit, "rounds": args.rounds}
        for name in names:
            one, ratios = compared(
                name, both, rounds=args.rounds, quick=args.quick, told=lambda step: out.print(step, style="dim")
            )
            found.append((one, ratios))
            record["benchmarks"][name] = history.kept(one, ratios)
    out.print(f"base is {both.commit[:10]}; {args.rounds} rounds")
    table.compared(out, found)
    return [one for one, _ in found]


def described(record: dict[str, Any]) -> str:
    """The commit of a record, in words."""
    return f"{record['commit'][:10]}{' and what is not committed' if record['dirty'] else ''}"


def show_history(names: list[str], out: Console, args: argparse.Namespace) -> None:
    """How the figures of this size went on this machine."""
    records, torn = history.read(args.history_file)
    here = history.place()
    fitting = [one for one in records if one.get("machine") == here and one.get("quick") == args.quick]
    out.print(f"{len(fitting)} of {len(records)} records are of this machine and {'quick' if args.quick else 'full'}")
    if torn:
        out.print(f"{args.history_file}: no record in line {', '.join(map(str, torn))}, passed over")
    table.over_time(out, fitting, names)


def main() -> None:
    """The command line."""
    suite, scripts = listed()
    args = arguments(list(suite))
    names, out = args.names or list(suite), table.console()
    if args.list:
        table.listing(out, suite, scripts)
        return
    if args.history:
        show_history(names, out, args)
        return
    record = history.begin(ROOT, quick=args.quick)
    try:
        if args.against:
            found = held_against(names, out, record, args)
        else:
            found = measured(names, out, record, quick=args.quick)
    except RuntimeError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("stopped; nothing was recorded") from None
    record["load"].append(history.load())
    before, after = record["load"]
    on = f"{record['machine']['cpu']}, {record['machine']['cores']} cores, load {before} before and {after} after"
    out.print(f"{described(record)}; {on}")
    if not args.no_record:
        history.append(args.history_file, record)
    sys.exit(any(one.failed for one in found))


if __name__ == "__main__":
    main()
