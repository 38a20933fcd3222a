"""The command line: each command parses, calls one function and prints.

Exit status: 0 done, 1 failed, 2 bad usage or configuration, 3 budget reached, 130 interrupted. Everything
heavy is imported inside the commands, so that ``codeclm --help`` answers at once.
"""

from __future__ import annotations

import enum
import shlex
from pathlib import Path
from typing import Annotated

import typer

from codeclm.cli import aligning, auditing, drifting, encoding, evaluating, reporting, studio, training
from codeclm.cli.endings import DONE, FAILED, Json, Measure, Overrides, again, errors

app = typer.Typer(
    name="codeclm",
    epilog="Start here: codeclm demo, then codeclm init.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Format(enum.StrEnum):
    """What `codeclm export` can write."""

    messages = "messages"
    alpaca = "alpaca"
    sharegpt = "sharegpt"
    prompt_completion = "prompt-completion"
    preferences = "preferences"
    parquet = "parquet"


class Study(enum.StrEnum):
    """What `codeclm study` can repeat."""

    iterations = "iterations"
    metadata = "metadata"
    size = "size"


class Distribution(enum.StrEnum):
    """How simulated latencies are spread about their mean."""

    fixed = "fixed"
    exponential = "exponential"
    lognormal = "lognormal"


def _version(wanted: bool) -> None:
    if wanted:
        from codeclm import __version__

        typer.echo(f"codeclm {__version__}")
        raise typer.Exit(DONE)


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Instruction-tuning data tailored to your task and your target model (CodecLM)."""


@app.command()
def demo(
    run_dir: Annotated[Path, typer.Option(help="Where to write the run.")] = Path("runs/demo"),
    size: Annotated[int, typer.Option(min=1, help="How many examples to make.")] = 100,
    json: Json = False,
) -> None:
    """Make a dataset on built-in simulated models and bundled seeds. Needs no key, no network and no GPU.

    The text is for rehearsal, not for training: it shows what a run does and
    what comes out.
    """
    from codeclm.cli.running import run_in_terminal
    from codeclm.cli.starter import demo_config

    resume = shlex.join(["codeclm", "demo", "--run-dir", str(run_dir), "--size", str(size)])
    with errors(json=json, resume=resume):
        run_in_terminal(demo_config(run_dir.resolve(), size), json=json)
    if not json:
        typer.echo("\nNext, on your own task: codeclm init my-task")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to write config.yaml and seeds.jsonl into.")] = Path("."),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Show every key of the config, not only the usual.")] = False,
) -> None:
    """Write a commented config.yaml and sample seeds that run as they are."""
    from codeclm.cli.starter import write_starter

    with errors():
        written = write_starter(folder, force=force, full=full)
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(f"\nNext: codeclm run {folder / 'config.yaml'}\nThen put your own seeds and models into the config.")


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="A method or part, to see it in full.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON event instead of text.")] = False,
) -> None:
    """List the methods a config can name, with their parts, papers and settings."""
    from codeclm.cli.methods import print_methods

    with errors(json=json):
        print_methods(name, json=json)


@app.command()
def prompts(
    folder: Annotated[Path, typer.Argument(help="The folder to write NAME.txt files into.")],
    names: Annotated[list[str] | None, typer.Argument(help="Which prompts; all of them unless named.")] = None,
) -> None:
    """Write the built-in prompt templates into a folder, to change them for a config's `prompts`."""
    from codeclm.prompts.own_templates import write_templates

    with errors():
        written = write_templates(folder, names or ())
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(f"\nChange them and set `prompts: {folder}` in the config. Delete those you leave as they are.")


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="The YAML configuration.")],
    overrides: Overrides = None,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON event instead of text.")] = False,
) -> None:
    """See whether everything a run needs is there, before money is spent.

    Asks each model a few tiny questions: is it reachable, authorised, the one
    that is meant; how it wants to be asked, how fast it is, what it costs. Says
    what to do where something is wrong, and leaves with exit status 1 then.
    """
    from codeclm.cli.checking import print_check
    from codeclm.config_files import load

    with errors(json=json):
        good = print_check(load(config, overrides or ()), json=json)
    raise typer.Exit(DONE if good else FAILED)


@app.command()
def plan(
    config: Annotated[Path, typer.Argument(help="The YAML configuration.")],
    overrides: Overrides = None,
    probe: Annotated[int, typer.Option(min=0, help="Rows to take through the real models first.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON event instead of text.")] = False,
) -> None:
    """Tell what a run will take: calls, tokens, dollars and time, each with a range.

    Rehearses the run on simulated models, which costs nothing. With --probe 5 it
    also takes the run's first 5 rows through the real models, and scales by
    what they came to; the run does not pay for these calls again.
    """
    from codeclm.cli.planning import print_plan
    from codeclm.config_files import load

    with errors(json=json):
        print_plan(load(config, overrides or ()), probe, json=json)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="The YAML configuration; `codeclm init` writes a commented one.")],
    overrides: Overrides = None,
    json: Json = False,
    log: Annotated[Path | None, typer.Option("--log", help="Append what happens to this file, as JSON lines.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask anew what failed because of what a model replied.")
    ] = False,
) -> None:
    """Make the dataset a config describes; run it again to resume.

    Every model call is recorded in the run directory, so a resumed run makes
    only the calls it still owes. Ctrl-C stops cleanly: calls in flight end and
    are recorded, and what is kept is written.
    """
    from codeclm.cli.running import logged, run_in_terminal
    from codeclm.config_files import load

    with errors(json=json):
        loaded = load(config, overrides or ())
    plain = again("run", config, overrides, ["--log", str(log)] if log else [])
    retrying = f"{plain} --retry-failed"
    with errors(json=json, resume=retrying if retry_failed else plain), logged(log):
        run_in_terminal(loaded, json=json, retry_failed=retry_failed, retrying=retrying)


@app.command()
def compare(
    config: Annotated[Path, typer.Argument(help="The YAML configuration.")],
    methods: Annotated[
        str, typer.Option("--methods", metavar="A,B", help="Methods to compare, or all that this config can run.")
    ] = "all",
    measure: Measure = 100,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Run several methods on the same seeds and models, and print them side by side.

    Each method gets a run directory of its own in the config's run_dir, and all
    share one journal: calls that methods have in common are paid for once. Run
    it again to resume. Writes comparison.json and a picture.
    """
    from codeclm.cli.comparing import Asked, compare_in_terminal
    from codeclm.config_files import load

    chosen = [name.strip() for name in methods.split(",")]
    options = ["--methods", methods, "--measure", str(measure)]
    with errors(json=json, resume=again("compare", config, overrides, options)):
        complete = compare_in_terminal(load(config, overrides or ()), chosen, Asked(measure, json))
    raise typer.Exit(DONE if complete else FAILED)


@app.command()
def study(
    config: Annotated[Path, typer.Argument(help="The YAML configuration.")],
    what: Annotated[Study, typer.Argument(metavar="STUDY", help=f"One of {', '.join(Study)}.")],
    points: Annotated[
        str, typer.Option("--points", metavar="LIST", help="Shares of the metadata or the size, such as 20%,60%,100%.")
    ] = "",
    measure: Measure = 100,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Repeat one of the paper's studies on your own task, with the config's method.

    iterations: which iteration the kept pairs come from (Figure 3). metadata:
    runs on 20 to 100 % of the metadata, of equal size (Figure 4). size: runs of
    25 to 100 % of the size (Figure 5). Run it again to resume.
    """
    from codeclm.cli.comparing import Asked, shares, study_in_terminal
    from codeclm.config_files import load

    options = [what.value, "--measure", str(measure), *(["--points", points] if points else [])]
    with errors(json=json, resume=again("study", config, overrides, options)):
        chosen = shares(points) if points else ()
        complete = study_in_terminal(load(config, overrides or ()), what.value, chosen, Asked(measure, json))
    raise typer.Exit(DONE if complete else FAILED)


@app.command()
def status(
    run_dir: Annotated[Path, typer.Argument(help="A run directory.")],
    json: Annotated[bool, typer.Option("--json", help="Write the manifest as JSON.")] = False,
) -> None:
    """Show how far a run has come, what it cost in calls and tokens, and what failed."""
    from codeclm.cli.status import print_status

    with errors():
        print_status(run_dir, json=json)


@app.command()
def recover(
    run_dir: Annotated[Path, typer.Argument(help="A run directory, or a journal that several runs share.")],
    json: Annotated[bool, typer.Option("--json", help="Write one JSON event instead of text.")] = False,
) -> None:
    """Save what can be read of a damaged journal, and say what is lost.

    Makes no call. The damaged journal is kept beside the new one. What is lost
    is made and paid for again only when you run the config again.
    """
    from codeclm.cli.recovering import recover_journal

    with errors(json=json):
        recover_journal(run_dir, json=json)


@app.command()
def export(
    run_dir: Annotated[Path, typer.Argument(help="A run directory.")],
    format: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(Format)}.")
    ] = Format.messages,
    out: Annotated[Path | None, typer.Option("--out", help="The file; by default in the run directory.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", min=0, max=9, help="Select anew from the recorded scores, without a model call."),
    ] = None,
) -> None:
    """Write a run's examples in another format, or select them anew by another threshold.

    What people edited or dropped in the studio is honoured.
    """
    from codeclm.reselect import export_run

    with errors():
        exported = export_run(run_dir, format=format.value, out=out, threshold=threshold)
    typer.echo(f"wrote {exported.rows} rows to {exported.path}")
    if exported.edits.edits:
        typer.echo(exported.edits.told())


@app.command()
def simulate(  # the options of the simulator, one each
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on 127.0.0.1; 0 takes a free one.")] = 8080,
    latency: Annotated[float, typer.Option(min=0, help="Mean seconds to a reply.")] = 0.0,
    distribution: Annotated[Distribution, typer.Option(help="How latencies are spread.")] = Distribution.fixed,
    tokens_per_second: Annotated[float, typer.Option(min=0, help="Speed of writing; 0 is at once.")] = 0.0,
    max_in_flight: Annotated[int, typer.Option(min=0, help="Calls worked on at once; more wait. 0: all.")] = 0,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any option of the simulator, such as rate_429=0.1."),
    ] = None,
) -> None:
    """Serve simulated strong, target and judge models over an OpenAI-compatible API on this machine.

    For rehearsals and tests: replies are made by rules, and the target is weak
    in some skills on purpose. `codeclm simulate --set help` lists all options,
    faults among them.
    """
    from codeclm.cli.simulating import serve_simulator

    chosen = {
        "latency": latency,
        "latency_distribution": distribution.value,
        "tokens_per_second": tokens_per_second,
        "max_in_flight": max_in_flight,
    }
    with errors():
        serve_simulator(port, chosen, options or [])


encoding.register(app)
evaluating.register(app)
auditing.register(app)
drifting.register(app)
training.register(app)
aligning.register(app)
reporting.register(app)
studio.register(app)


def main() -> None:
    """The `codeclm` command."""
    app()
