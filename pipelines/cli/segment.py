"""``medfuse segment``: a trained model on one case or many, with whatever scans there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from medfuse.study import Role
    from pipelines.cases import Case
    from pipelines.segment import Models, Segmented, SegmentSettings
    from pipelines.segment_case import Place

Studies = Annotated[
    list[str],
    typer.Argument(metavar="STUDY...", help="Patients' folders, a folder of them, or a CSV"),
]
Model = Annotated[
    list[str],
    typer.Option("--model", metavar="FILE", help="A .mfm file; several answer by their mean."),
]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="The folder for the results.")]
Onto = Annotated[
    str | None,
    typer.Option("--onto", metavar="NAME", help="The scan whose grid the labels go onto."),
]
Transforms = Annotated[
    str | None,
    typer.Option(
        "--transforms",
        metavar="DIR|header",
        help="What medfuse register wrote, or header: the headers are right.",
    ),
]
Only = Annotated[str | None, typer.Option("--only", metavar="T1,CT", help="Use these scans alone.")]
Subsets = Annotated[
    bool, typer.Option("--subsets", help="Every subset of the scans, one folder each.")
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="Write the probability of each label too.")
]
Tta = Annotated[
    bool, typer.Option("--tta", help="Also ask of the mirrored patient: twice the time.")
]
Dicom = Annotated[bool, typer.Option("--dicom", help="Write a DICOM SEG too.")]
Split = Annotated[
    Literal["train", "validate", "test"] | None,
    typer.Option("--split", help="Only the cases that the CSV keeps for this."),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="auto: CUDA where there is one.")
]
Threads = Annotated[int, typer.Option("--threads", metavar="N", min=0, help="0: all cores.")]
AllowOutside = Annotated[
    bool, typer.Option("--allow-outside", help="Let a manifest name files outside its folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")]


def command(  # noqa: PLR0913 - the options of the command
    studies: Studies,
    model: Model,
    out: Out,
    onto: Onto = None,
    transforms: Transforms = None,
    only: Only = None,
    subsets: Subsets = False,
    probabilities: Probabilities = False,
    tta: Tta = False,
    dicom: Dicom = False,
    split: Split = None,
    device: Device = "auto",
    threads: Threads = 0,
    allow_outside: AllowOutside = False,
    json: Json = False,
    overwrite: Overwrite = False,
) -> int:
    """Segment cases with a trained model, whatever scans there are.

    The scans of a case must lie on one grid, or be brought there by --transforms. Writes
    DIR/CASE/labels.nii.gz, DIR/CASE/record.json (volumes in ml, what was used) and
    DIR/volumes.csv. A scan that the model knows and the case lacks is gone without, and said.

    \b
    Example:
      medfuse segment heads/sub-001 --model run/model.mfm --out seg
      medfuse segment patient_007 --model run/model.mfm --transforms aligned --dicom --out seg

    \b
    Exit codes: 0 done, 2 wrong usage, 3 bad input, 5 DIR cannot be written, 6 out of memory, 7
    some of several cases failed (the others are written).

    Research software, not a medical device.
    """
    import os

    from pipelines.cli.threads import hold

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = hold(threads or cores or 1)
    from medfuse import settings as settings_
    from pipelines.segment import Models, SegmentSettings, choices

    cases = _found(studies, split, allow_outside=allow_outside)
    _check_apart(Path(out), studies, cases, transforms)
    values = {
        "onto": onto,
        "transforms": transforms,
        "only": [name.strip() for name in only.split(",")] if only else [],
        "subsets": subsets,
        "probabilities": probabilities,
        "tta": tta,
        "dicom": dicom,
        "device": _device(device, threads),
    }
    settings = settings_.load(SegmentSettings, values, where="segment")
    models = Models.load(model)
    choices(models.card, settings)  # refuses what the model does not know, before any work
    return _work(cases, models, Path(out), settings, overwrite=overwrite, json=json)


def _found(studies: list[str], split: Role | None, *, allow_outside: bool) -> list[Case]:
    from pipelines.cases import list_cases
    from pipelines.cli import terminal

    with terminal.repairs() as repairs:
        cases = list_cases(studies, role=split, allow_outside=allow_outside)
    terminal.tell(", ".join(studies), repairs)  # who was passed over, among others
    return cases


def _check_apart(out: Path, studies: list[str], cases: list[Case], transforms: str | None) -> None:
    from pipelines.apart import check_segmentation
    from pipelines.cases import HEADER

    between = None if transforms in (None, HEADER) else transforms
    check_segmentation(out, studies, cases, between)


def _device(wish: str, threads: int) -> str:
    import torch

    torch.set_num_threads(threads)
    if wish == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wish


def _work(
    cases: list[Case],
    models: Models,
    out: Path,
    settings: SegmentSettings,
    *,
    overwrite: bool,
    json: bool,
) -> int:
    from medfuse.errors import SomeFailed
    from pipelines.cli import terminal, worker
    from pipelines.output_folder import output_folder
    from pipelines.segment import write_volumes
    from pipelines.segment_case import Place

    done: list[Segmented] = []
    failed: list[str] = []
    with output_folder(out, overwrite=overwrite, announce=worker.announce) as folder:
        place = Place(folder.folder, overwrite, worker.announce)
        for case in cases:
            try:
                done += _one(case, models, place, settings, quiet=json)
            except Exception as problem:
                if len(cases) == 1 or not _bearable(problem):
                    raise
                terminal.error(problem)  # type: ignore[arg-type]
                failed.append(case.id)
            else:  # now: who is stopped, or fails at a later case, has the table of these
                write_volumes(folder.folder)
    _say(done, failed, out, json=json)
    if failed:
        raise SomeFailed(
            f"{len(failed)} of {len(cases)} cases failed: {', '.join(failed)}",
            failed=tuple(failed),
            hint="the others are written",
        )
    return 0


def _bearable(problem: Exception) -> bool:
    """Tell whether the other cases can go on: the fault is this case's, not the disk's."""
    from medfuse.errors import InputError, UsageError

    return isinstance(problem, (InputError, UsageError))


def _one(
    case: Case, models: Models, place: Place, settings: SegmentSettings, *, quiet: bool
) -> list[Segmented]:
    from pipelines.cli import terminal
    from pipelines.segment_case import segment_case, unsaid

    done: list[Segmented] = []
    say = unsaid if quiet else lambda text: terminal.say(f"{case.id}: {text}")
    with terminal.listener(quiet=quiet) as progress:
        for result in segment_case(
            case, models, place, settings=settings, say=say, progress=progress
        ):
            terminal.tell(result.folder, result.repairs)
            done.append(result)
    return done


def _say(done: list[Segmented], failed: list[str], out: Path, *, json: bool) -> None:
    from pipelines.cli import terminal

    if json:
        import json as json_

        document: dict[str, Any] = {
            "cases": [one.document() for one in done],
            "failed": failed,
            "exit": 7 if failed else 0,
        }
        terminal.say(json_.dumps(document))
        return
    for one in done:
        found = ", ".join(f"{name} {ml:.2f} ml" for name, ml in one.volumes_ml.items())
        lacking = f"; without {', '.join(one.missing)}" if one.missing else ""
        terminal.say(f"{one.folder}: {found} (from {', '.join(one.used)}{lacking})")
    terminal.say(f"results: {out}")
    terminal.say("Research software, not a medical device.")
