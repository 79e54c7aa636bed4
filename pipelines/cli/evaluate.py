"""``medfuse evaluate``: predicted label maps against true ones, as a table and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.evaluation import Evaluation

Predictions = Annotated[
    str, typer.Argument(metavar="PREDICTIONS", help="A folder of label maps, or of subsets of them")
]
Truth = Annotated[
    str, typer.Argument(metavar="LABELS", help="A folder of true label maps, or a CSV manifest")
]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="The folder for the results.")]
Label = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME[=1,2]", help="What to score; once for each label."),
]
Tolerance = Annotated[
    float, typer.Option("--tolerance", metavar="MM", min=0, help="Of the surface Dice.")
]
Overlap = Annotated[
    float,
    typer.Option("--overlap", metavar="IOU", min=0, max=1, help="From which on a lesion is found."),
]
Ignore = Annotated[
    int | None,
    typer.Option(
        "--ignore", metavar="VALUE", min=1, help="A label of the truth that says nothing."
    ),
]
Resample = Annotated[
    bool, typer.Option("--resample", help="Carry predictions onto the grid of their truth.")
]
Worst = Annotated[int, typer.Option("--worst", metavar="N", min=0, help="Cases to show.")]
AllowOutside = Annotated[
    bool, typer.Option("--allow-outside", help="Let a manifest name files outside its folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")]


def command(  # noqa: PLR0913 - the options of the command
    predictions: Predictions,
    labels: Truth,
    out: Out,
    label: Label = None,
    tolerance: Tolerance = 1.0,
    overlap: Overlap = 0.1,
    ignore: Ignore = None,
    resample: Resample = False,
    worst: Worst = 6,
    allow_outside: AllowOutside = False,
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Score predicted label maps against true ones.

    Maps are paired by the names of files or of the folders that they lie in; folders above the
    cases of PREDICTIONS are subsets of modalities, as `medfuse segment --subsets` makes them.
    Writes DIR/scores.csv (one row a case and label), DIR/record.json (the summary) and
    DIR/page.html, with the worst cases shown.

    \b
    Example:
      medfuse evaluate seg heads --out scores
      medfuse evaluate seg heads --label "tumour=9,10" --tolerance 2 --out scores

    \b
    Exit codes: 0 done, 2 wrong usage, 3 bad input (another grid, a prediction without a truth),
    5 DIR cannot be written, 6 out of memory.

    Research software, not a medical device.
    """
    from pipelines.cli.threads import hold

    hold(1)
    from medfuse import settings as settings_
    from medfuse.record import Record
    from pipelines.apart import check_scores
    from pipelines.cli import terminal, worker
    from pipelines.evaluate import evaluate, write_evaluation
    from pipelines.evaluation import EvaluateSettings
    from pipelines.output_folder import output_folder
    from pipelines.pairing import pair

    values = {"labels": label or [], "tolerance_mm": tolerance, "overlap": overlap}
    values |= {"ignore": ignore, "resample": resample, "worst": worst}
    settings = settings_.load(EvaluateSettings, values, where="evaluate")
    pairs = pair(predictions, labels, allow_outside=allow_outside)
    check_scores(Path(out), labels, pairs.pairs)
    record = Record("evaluate")
    with output_folder(out, overwrite=overwrite, announce=worker.announce) as folder:
        folder.reserve((), inputs=[one.truth_file for one in pairs.pairs])
        with terminal.listener(quiet=json) as progress:
            found = evaluate(pairs, settings=settings, record=record, progress=progress)
            write_evaluation(found, folder, record, settings)
    for case, repair in found.repairs:
        terminal.warning(case, repair.id, repair.what)
    _say(found, out, json=json)


def _say(found: Evaluation, out: str, *, json: bool) -> None:
    from medfuse.errors import escaped
    from pipelines.cli import terminal
    from pipelines.evaluation import counted
    from pipelines.summary import interval_text

    document: dict[str, Any] = found.document()
    if json:
        import json as json_

        terminal.say(json_.dumps(document))
        return
    for sentence in found.unscored():
        terminal.complain(f"warning: {escaped(sentence)}")
    for subset, labels in found.summary.subsets.items():
        for name, one in labels.items():
            empty = sum(count for kind, count in one.empty.items() if kind != "no")
            by_rule = f", {empty} by rule (empty)" if empty else ""
            ends = interval_text(one.interval, "[{:.3f}, {:.3f}]")
            terminal.say(
                f"{subset + ': ' if subset else ''}{name}: Dice {one.dice:.3f} "
                f"{ends or '(too few cases for an interval)'} in {counted(one.cases, 'case')}"
                f"{by_rule}, lesions {one.lesions[0]} of {one.lesions[1]}"
            )
    terminal.say(f"page: {out}/page.html")
