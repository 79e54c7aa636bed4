"""``medfuse apply``: carry a scan, a label map or points through transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path


def command(  # noqa: PLR0913 - the options of the command
    transforms: Annotated[
        list[str], typer.Argument(metavar="TRANSFORM...", help="One or more transform files")
    ],
    moving: Annotated[
        str | None, typer.Option("--moving", metavar="FILE", help="The scan to carry.")
    ] = None,
    onto: Annotated[
        str | None,
        typer.Option("--onto", metavar="FILE", help="The scan whose grid to carry it onto."),
    ] = None,
    points: Annotated[
        str | None,
        typer.Option("--points", metavar="CSV", help="Points to map: columns x,y,z, LPS mm."),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Where the result goes.")
    ] = None,
    label: Annotated[
        bool, typer.Option("--label", help="--moving is a label map, whatever its name says.")
    ] = False,
    inverse: Annotated[
        bool, typer.Option("--inverse", help="Invert the whole chain of transforms.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace --out where it exists.")
    ] = False,
) -> None:
    """Carry a scan or points through transforms.

    Transforms are listed in the order in which a fixed point passes through them; points are
    x,y,z in LPS mm, mapped fixed to moving; --inverse inverts the whole chain. A chain costs one
    interpolation.

    \b
    Example:
      medfuse apply aligned/CT/transform.tfm --moving CT.nii.gz --onto T1.nii.gz --out CT_T1.nii.gz
      medfuse apply aligned/CT/transform.tfm --points fixed.csv --out moving.csv

    \b
    Exit codes: 0 done, 2 wrong usage, 3 bad input, 4 less than a tenth of the scans overlap,
    5 --out cannot be written, 6 out of memory.

    Research software, not a medical device.
    """
    from medfuse.errors import UsageError
    from pipelines.cli import outputs

    if out is None:
        raise UsageError("--out is missing", hint="name the file for the result")
    if points is None and (moving is None or onto is None):
        raise UsageError("give --moving and --onto, or --points")
    if points is not None and (moving is not None or onto is not None or label):
        raise UsageError("--points goes without --moving, --onto and --label")
    given = [*transforms, *(text for text in (moving, onto, points) if text is not None)]
    target = outputs.target(out, given=given, overwrite=overwrite, scan=points is None)
    if points is not None:
        _map_points(transforms, points, target, inverse=inverse)
    elif moving is not None and onto is not None:
        _carry(transforms, (moving, onto), target, label=label, inverse=inverse)


def _map_points(transforms: list[str], points: str, target: Path, *, inverse: bool) -> None:
    from medfuse.io.points import read_points, write_points
    from pipelines.carrying import chained
    from pipelines.cli import inputs, terminal

    places = read_points(points)
    chain = chained([inputs.transform(text) for text in transforms], inverse=inverse)
    write_points(chain.map(places), target)
    terminal.say(f"mapped {len(places)} points")


def _carry(
    transforms: list[str], scans: tuple[str, str], target: Path, *, label: bool, inverse: bool
) -> None:
    from medfuse.io.volumes import write_labels, write_volume
    from medfuse.resampling import right_angled
    from pipelines.carrying import carry, chained
    from pipelines.cli import inputs, terminal

    moving, onto = scans
    chain = chained([inputs.transform(text) for text in transforms], inverse=inverse)
    grid = inputs.volume(onto).geometry
    if not grid.is_orthonormal:
        what = f"the grid is sheared by {grid.shear_degrees:.2f} degrees: made right-angled"
        terminal.warning(inputs.path(onto), "N10", what)
        grid = right_angled(grid)
    labels, scan = (inputs.labels(moving), None) if label else inputs.either(moving)
    if scan is not None:
        write_volume(carry(scan, grid, chain), target)
    elif labels is not None:
        write_labels(carry(labels, grid, chain), target)
    told = "" if label or labels is None else " (a label map by its name: nearest neighbour)"
    terminal.say(f"wrote {target}{told}")
