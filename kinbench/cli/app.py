"""The commands. Each one is the same call a notebook would make, with its result printed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import kinbench
from kinbench.cli import display
from kinbench.errors import KinbenchError, UsageError

app = typer.Typer(
    name="kinbench",
    help="A benchmark for joint kinematics from wearable IMUs.",
    epilog="Start with: kinbench demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of the stores. Default: $KINBENCH_DATA, else ./data."),
]
Results = Annotated[
    Path | None,
    typer.Option("--results", metavar="DIR", help="Folder of the results. Default: $KINBENCH_RESULTS, else ./results."),
]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Also write a page with plots (needs the extra 'pages').")
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="Where networks compute: cpu or cuda.")]
Names = list[str] | None


def main() -> None:
    """Run the command line. Errors meant for people are one message and an exit code, never a traceback."""
    try:
        app()
    except KinbenchError as error:
        sys.exit(_tell(str(error), error.exit_code))
    except KeyboardInterrupt:
        sys.exit(_tell("stopped. What was finished is kept; the same command goes on from there.", 130))
    except BrokenPipeError:
        # The reader of a pipe (head, less) has gone; pointing stdout at nothing keeps the interpreter's exit silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        sys.exit(_tell(f"cannot use '{error.filename}': {error.strerror}; name another folder or file.", 2))
    except Exception as error:
        if os.environ.get("KINBENCH_TRACEBACK"):
            raise
        sys.exit(_tell(
            f"this is a fault in kinbench, not in your data: {type(error).__name__}: {error}. "
            "Run again with KINBENCH_TRACEBACK=1 and report what it prints.", 1,
        ))  # fmt: skip


def _tell(message: str, exit_code: int) -> int:
    for line in message.splitlines():
        display.say(f"kinbench: {line}")
    return exit_code


@app.command(epilog="Example: kinbench demo --to kinbench-demo")
def demo(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for everything of the demo.")] = Path(
        "kinbench-demo"
    ),
    everything: Annotated[bool, typer.Option("--all", help="All tasks, models and seeds, not the short tour.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Processes. Default: one per core.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulated raw files to leaderboard: the whole way, once."""
    with display.progress("demo", quiet) as bar:
        board = kinbench.demo(
            to, everything=everything, workers=workers, on_progress=bar, on_step=lambda t: display.say(t, quiet)
        )
    _show_board(board, json)
    _fail_if(len(board.failures))


@app.command(epilog="Example: kinbench data opensense ./raw")
def data(
    adapter: Annotated[str, typer.Argument(help="Adapter of the dataset ('kinbench list adapters').")],
    raw: Annotated[Path | None, typer.Argument(help="Folder of the raw files. Default: ./raw/NAME.")] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch what needs no agreement, checked against pinned hashes.")
    ] = False,
    unpinned: Annotated[
        bool, typer.Option("--unpinned", help="With --download: also files nobody has published a hash of.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what of a dataset's raw files is there, missing or wrong; fetch it where the licence lets anyone."""
    if unpinned and not download:
        raise UsageError("--unpinned goes with --download: it says what may be fetched.")
    with display.progress("download", quiet, in_bytes=True) as bar:
        survey = kinbench.data(
            adapter, raw, download=download, unpinned=unpinned, on_progress=bar,
            on_step=lambda t: display.say(t, quiet),
        )  # fmt: skip
    for failure in survey.failures:
        display.say(f"failed  {failure}")
    display.show_json(survey.to_json()) if json else display.show(survey.text())
    _fail_if(not survey.ok)


@app.command(epilog="Example: kinbench convert opensense ./raw    or: kinbench convert lab ./my-lab")
def convert(
    adapter: Annotated[str, typer.Argument(help="Adapter, e.g. opensense or lab ('kinbench list adapters').")],
    raw: Annotated[Path, typer.Argument(help="Folder of the raw files.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of the dataset, for a lab's own.")
    ] = None,
    sites_of: Annotated[
        str | None,
        typer.Option("--sites-of", metavar="STORE", help="Put virtual sensors where this store's real ones sit."),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option("--level", metavar="LEVEL", help="With --sites-of: proximal, mid or distal where it is not said."),
    ] = None,
    activities: Annotated[
        bool,
        typer.Option(
            "--activities", help="Label, from the sensors, what is done when in recordings that leave it open."
        ),
    ] = False,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Convert raw recordings into a store (schema 1)."""
    with display.progress("convert", quiet) as bar:
        conversion = kinbench.convert(
            adapter,
            raw,
            name=name,
            sites_of=sites_of,
            unknown_level=level,
            activities=activities,
            data=data,
            on_progress=bar,
        )
    if json:
        display.show_json(conversion.to_json())
    else:
        if conversion.sites is not None:
            display.say(f"virtual sensors at the sites of {conversion.sites.dataset}:", quiet)
            for sensor, facts in conversion.sites.plain()["sensors"].items():
                display.say(f"  {sensor}: {facts['site']}, {facts['level']}, as in {facts['taken_from']}", quiet)
        for outcome in (*conversion.skipped, *conversion.failed):
            display.say(f"{outcome.status:<7} {outcome.key}: {outcome.reason}")
        if conversion.left_over:
            display.say(f"not among these files, but still in the store: {', '.join(map(str, conversion.left_over))}")
        total = len(conversion.outcomes) - len(conversion.skipped)
        done = total - len(conversion.failed)
        where = f" into {conversion.path}" if done else "; nothing was written"
        passed_over = f"; {len(conversion.skipped)} skipped" if conversion.skipped else ""
        display.show(f"{done} of {total} recordings converted{where}{passed_over}")
    _fail_if(conversion.failed)


@app.command(epilog="Example: kinbench inspect ./raw --to kinbench.yaml --html proposal.html")
def inspect(
    raw: Annotated[Path, typer.Argument(help="Folder of raw files that nobody described.")],
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Write the proposed manifest here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="With --to: replace a file that is there.")] = False,
    html: Html = None,
    adapter: Annotated[
        str | None, typer.Option("--adapter", metavar="NAME", help="Ask this adapter only, where several propose.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look at a raw folder and propose its manifest, saying how sure each field is.

    Exits 0 where every field is known or guessed, 1 where questions are open: then the manifest is not complete.
    """
    _refuse_to_replace(to, force)
    page = _page(html)
    with display.progress("inspect", quiet) as bar:
        proposal = kinbench.inspect(raw, adapter=adapter, to=to, on_progress=bar)
    if to is not None:
        _write(to, proposal.manifest)
        display.say(f"wrote {to}", quiet)
    if page is not None:
        kinbench.page(proposal, page, raw=raw)
        display.say(f"wrote {page}", quiet)
    open_ = [guess for guess in proposal.guesses if guess.verdict == "open"]
    if json:
        display.show_json(display.plain_proposal(proposal))
    else:
        display.show(display.proposal_text(proposal))
    _fail_if(open_)


@app.command(epilog="Example: kinbench validate data/opensense.zarr --against my-lab --html report.html")
def validate(
    store: Annotated[str, typer.Argument(help="A store: its path, or its name in the data folder.")],
    against: Annotated[
        str | None, typer.Option("--against", metavar="STORE", help="Lay this store beside it: gait cycles, spectra.")
    ] = None,
    html: Html = None,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List what is wrong with a store: schema, physics, bytes."""
    page = _page(html)
    with display.progress("validate", quiet) as bar:
        report = kinbench.validate(store, data=data, on_progress=bar)
    comparison = None
    if against is not None:
        with display.progress("compare", quiet) as bar:
            comparison = kinbench.compare(store, against, data=data, on_progress=bar)
    if page is not None:
        kinbench.page(report, page, dataset=store, comparison=comparison, data=data)
        display.say(f"wrote {page}", quiet)
    if json:
        beside = {} if comparison is None else {"against": comparison.to_json()}
        display.show_json({**report.to_json(), **beside})
    else:
        display.show(report.text(findings=not quiet))
        if comparison is not None:
            display.show(comparison.text())
    _fail_if(not report.ok)


def _page(html: Path | None) -> Path | None:
    """Refuse a page that could not be written before anything is computed for it."""
    if html is None:
        return None
    from kinbench.api import page_path

    return page_path(html)


def _refuse_to_replace(to: Path | None, force: bool) -> None:
    if to is not None and to.exists() and not force:
        raise UsageError(f"--to: '{to}' is there already; name another file, or say --force to replace it.")


def _write(to: Path, text: str) -> None:
    from kinbench.files import publish

    publish(text.encode(), to)


@app.command(epilog="Example: kinbench run --protocol cross-dataset --task knee-pair --model ridge --model my-lstm")
def run(
    protocol: Annotated[
        Names, typer.Option("--protocol", "-p", metavar="NAME", help="Protocol; repeatable. Default: all that rank.")
    ] = None,
    task: Annotated[
        Names, typer.Option("--task", "-t", metavar="NAME", help="Task; repeatable. Default: all that apply.")
    ] = None,
    dataset: Annotated[
        Names, typer.Option("--dataset", "-d", metavar="NAME", help="Dataset; repeatable. Default: all.")
    ] = None,
    model: Annotated[
        Names,
        typer.Option(
            "--model", "-m", metavar="NAME", help="Model, e.g. 'ridge' or 'my-lstm[hidden=64]@WEIGHTS'; repeatable."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="DIR", help="Where the one model begins: a folder, or weights by name."),
    ] = None,
    search: Annotated[
        Path | None, typer.Option("--search", metavar="FILE", help="Also the best settings of a 'kinbench search'.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option("--seed", metavar="N", help="Seed; repeatable. Default: 0, 1, 2.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="Processes that fit and predict.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only this many cells, marked 'not for the leaderboard'.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that fails.")] = False,
    device: Device = "cpu",
    data: Data = None,
    results: Results = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Score models under the protocols; resumes by default."""
    from kinbench.api.places import device_of  # brings zarr, which no help text needs

    device_of(device)  # refused before a plan is made and told
    with display.progress("plan", quiet) as bar:
        plan = kinbench.plan(
            protocols=protocol, tasks=task, datasets=dataset, models=model, weights=weights, search=search, seeds=seed,
            data=data, results=results, on_progress=bar,
        )  # fmt: skip
    if dry_run:
        display.show_json(plan.to_json()) if json else display.show(plan.text())
        return
    display.say(plan.text(), quiet)
    with display.progress("run", quiet) as bar:
        finished = kinbench.execute(
            plan, workers=workers, limit=limit, fail_fast=fail_fast, device=device, on_progress=bar
        )
    if json:
        display.show_json(finished.to_json())
    else:
        display.show(finished.text())
    _fail_if(finished.failed)


@app.command(epilog="Example: kinbench leaderboard --protocol ug --write leaderboard/")
def leaderboard(
    protocol: Annotated[Names, typer.Option("--protocol", "-p", metavar="NAME", help="Protocol; repeatable.")] = None,
    task: Annotated[Names, typer.Option("--task", "-t", metavar="NAME", help="Task; repeatable.")] = None,
    dataset: Annotated[Names, typer.Option("--dataset", "-d", metavar="NAME", help="Dataset; repeatable.")] = None,
    metric: Annotated[str, typer.Option("--metric", metavar="NAME", help="First column; ranks go by RMSE.")] = "rmse",
    ceilings: Annotated[
        bool, typer.Option("--ceilings", help="Also show each model with the test offset told: no result, no rank.")
    ] = False,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="DIR", help="Also write the tables into this folder.")
    ] = None,
    results: Results = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the leaderboard, made from results alone."""
    board = kinbench.leaderboard(
        protocols=protocol, tasks=task, datasets=dataset, metric=metric, ceilings=ceilings, results=results
    )
    if write is not None:
        for path in board.write(write):
            display.say(f"wrote {path}", quiet)
    _show_board(board, json)


@app.command(name="list", epilog="Example: kinbench list models")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="datasets, adapters, tasks, protocols, models or demos; default: all.")
    ] = None,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List datasets, adapters, tasks, protocols and models."""
    listing = kinbench.listing(kind, data=data)
    if json:
        display.show_json(listing)
        return
    for title, rows in listing.items():
        if not quiet:
            display.show(f"{title}")
        # What a title tells needs no module's name beside it.
        names = [name for name in (rows[0] if rows else ()) if name != "object" or "title" not in rows[0]]
        display.show(display.columns(rows, names) if rows else "  none")
        if not quiet:
            display.show("")


@app.command(epilog="Example: kinbench info knee-pair")
def info(
    name: Annotated[str, typer.Argument(help="A dataset, adapter, task, protocol or model.")],
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of an adapter's manifest, for editors.")
    ] = False,
    data: Data = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell what one of them is."""
    if schema:
        display.show_json(kinbench.manifest_schema(name))
        return
    described = kinbench.info(name, data=data)
    if json:
        display.show_json(described)
        return
    for entry in described:
        display.show(f"{entry['kind']} {entry['name']}")
        for key, value in entry.items():
            if key not in ("kind", "name") and value not in (None, "", [], {}):
                display.show(f"  {key}: {display.settings(value) if key == 'settings' else display.plain(value)}")


def _show_board(board: Any, json: bool) -> None:
    if json:
        display.show_json(board.to_json())
    elif not board.tables:
        raise UsageError("There are no results to show (limited ones never are); make some with 'kinbench run'.")
    else:
        display.show(board.text())


def _fail_if(bad: object) -> None:
    if bad:
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """A benchmark for joint kinematics from wearable IMUs."""
    if version:
        display.show(kinbench.__version__)
        raise typer.Exit
