"""``medfuse register``: a patient's scans in one space, the transforms, verdicts and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from pipelines.cli.register_inputs import Request
    from pipelines.output_folder import OutputFolder
    from pipelines.register_case import CaseResult

Scans = Annotated[
    list[str],
    typer.Argument(metavar="FIXED MOVING... | FOLDER", help="Scans, or one patient's folder"),
]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="The folder for the results.")]
Fixed = Annotated[
    str | None,
    typer.Option("--fixed", metavar="NAME", help="With FOLDER: the scan that stays, such as T1."),
]
Kind = Annotated[
    Literal["rigid", "affine", "deformable"],
    typer.Option("--transform", help="How the moving scans may change."),
]
Engine = Annotated[Literal["mi", "itk"], typer.Option("--engine", help="What refines the pose.")]
Start = Annotated[
    str,
    typer.Option(
        "--start",
        metavar="auto|header|search|FILE",
        help="Where the pose is looked for; FILE is a transform to begin from.",
    ),
]
FixedMask = Annotated[
    str | None,
    typer.Option("--fixed-mask", metavar="FILE", help="Only what is above zero in it counts."),
]
MovingMask = Annotated[
    str | None, typer.Option("--moving-mask", metavar="FILE", help="The same for the moving scan.")
]
Interpolate = Annotated[
    Literal["linear", "nearest", "bspline"],
    typer.Option("--interpolation", help="How moved.nii.gz is made."),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name", metavar="[SCAN=]NAME", help="Name of a moving scan; once for each, or CT=NAME."
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same, the same result.")]
Threads = Annotated[
    int, typer.Option("--threads", metavar="N", min=1, help="1: the same bytes every time.")
]
NoPage = Annotated[bool, typer.Option("--no-page", help="Make no page.html.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")]
AllowFail = Annotated[bool, typer.Option("--allow-fail", help="Exit 0 where a verdict is fail.")]


def command(  # noqa: PLR0913 - the options of the command
    scans: Scans,
    out: Out,
    fixed: Fixed = None,
    transform: Kind = "rigid",
    engine: Engine = "mi",
    start: Start = "auto",
    fixed_mask: FixedMask = None,
    moving_mask: MovingMask = None,
    interpolation: Interpolate = "linear",
    name: Names = None,
    seed: Seed = 0,
    threads: Threads = 1,
    no_page: NoPage = False,
    json: Json = False,
    overwrite: Overwrite = False,
    allow_fail: AllowFail = False,
) -> int:
    """Bring moving scans onto a fixed one, with a verdict.

    Any pair of MRI, CT and PET, from any orientation. A scan is a file or a DICOM folder:
    PATH[:CT,key=value,...]. Writes DIR/page.html, DIR/record.json, and for each moving scan
    DIR/NAME/transform.tfm (.h5 when deformable; fixed to moving points, LPS mm) and
    DIR/NAME/moved.nii.gz; NAME is the modality or --name.

    \b
    Example:
      medfuse register T1.nii.gz CT.nii.gz dicom/pet --out aligned
      medfuse register patient_007 --fixed T1 --out aligned

    \b
    Exit codes: 0 done (also when a verdict is review), 2 wrong usage, 3 bad input, 4 a verdict is
    fail (files and page are written), 5 DIR cannot be written, 6 out of memory or disk.

    Research software, not a medical device.
    """
    from pipelines.cli.threads import hold

    threads = hold(threads)
    from pipelines.cli.register_inputs import Request

    request = Request(
        scans=tuple(scans),
        fixed=fixed,
        names=tuple(name or ()),
        start=start,
        masks=(fixed_mask, moving_mask),
        options={
            "settings": {"transform": transform, "engine": engine, "threads": threads},
            "seed": seed,
            "interpolation": interpolation,
            "page": not no_page,
            "allow_fail": allow_fail,
        },
    )
    return _answer(request, out, overwrite=overwrite, json=json)


def _answer(request: Request, out: str, *, overwrite: bool, json: bool) -> int:
    """Check, read, work, write; then say what came of it."""
    from pipelines.cli import terminal, worker
    from pipelines.output_folder import output_folder

    request.check()
    with output_folder(out, overwrite=overwrite, announce=worker.announce) as folder:
        case, record = request.read(folder)
        with terminal.listener(quiet=json) as progress:
            from pipelines.register_case import run_case

            result = run_case(case, folder, record, progress=progress)
    _warn(result, allow_fail=case.allow_fail)
    if json:
        import json as json_

        terminal.say(json_.dumps(result.document()))
    else:
        _print(result, folder, page=case.page)
    return result.exit_code


def _warn(result: CaseResult, *, allow_fail: bool) -> None:
    """Write a warning for each review, and one error for all that failed."""
    from pipelines.cli import terminal

    for one in result.moving:
        reasons = "; ".join(one.quality.reasons)
        if one.quality.verdict == "review" or (one.quality.verdict == "fail" and allow_fail):
            terminal.complain(f"warning[{one.quality.verdict}]: {one.name}: {reasons}")
    failed = [one for one in result.moving if one.quality.verdict == "fail"]
    if failed and not allow_fail:
        said = "; ".join(f"{one.name}: {', '.join(one.quality.reasons)}" for one in failed)
        terminal.complain(f"error[fail]: {said}; look at the page before anything is used")


def _print(result: CaseResult, folder: OutputFolder, *, page: bool) -> None:
    from pipelines.cli import terminal

    for one in result.moving:
        terminal.say(f"{one.name}: {one.quality.verdict}  {_figures(one.quality.figures)}".rstrip())
    terminal.say(
        f"{'page' if page else 'results'}: {folder.folder / ('page.html' if page else '')}"
    )


def _figures(figures: Any) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in list(figures.items())[:4])
