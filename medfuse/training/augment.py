"""Vary a batch on its device, all samples at once; every number comes from the generator given.

Turning, zooming and misalignment are one resampling together.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from medfuse.training.draw import Batch
from medfuse.training.settings import AugmentSettings
from medfuse.training.survey import IGNORED

Spacing = tuple[float, float, float]  # mm along d, h, w
_CUBES: Spacing = (1.0, 1.0, 1.0)


def augment(
    batch: Batch,
    settings: AugmentSettings,
    generator: torch.Generator,
    *,
    spacing: Spacing = _CUBES,
) -> Batch:
    """Return a varied batch; labels follow what moves. Draws on the CPU, works where ``x`` is.

    ``spacing``: mm a voxel along (d, h, w), without which a turn of thick slices would shear.
    ``mirror`` is a step of its own, as it changes what a channel means.
    """
    batch = move(batch, settings, generator, spacing=spacing)
    batch = corrupt(batch, settings, generator)
    x = _absent_is_zero(appear(batch.x, settings, generator), batch.present)
    return replace(batch, x=x)


def mirror(
    x: Tensor, target: Tensor, counted: Tensor, swapped: list[int], flips: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the batch with left and right changed in the samples that ``flips`` (B,) names.

    ``x`` (B, M, C, D, H, W) and ``target`` (B, K, D, H, W) lie on an upright grid, whose last axis
    runs from right to left; channel k of a flipped target becomes channel ``swapped[k]``, so a
    left kidney is one afterwards too.
    """
    flips = flips.to(x.device)
    x = torch.where(flips[:, None, None, None, None, None], x.flip(-1), x)
    chosen = flips[:, None, None, None, None]
    target = torch.where(chosen, target.flip(-1)[:, swapped], target)
    return x, target, torch.where(chosen, counted.flip(-1), counted)


def draw_flips(count: int, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Return which samples are mirrored, (B,) bool: half of them where it is allowed."""
    return (torch.rand(count, generator=generator) < 0.5) & settings.mirror


def move(
    batch: Batch,
    settings: AugmentSettings,
    generator: torch.Generator,
    *,
    spacing: Spacing = _CUBES,
) -> Batch:
    """Turn, zoom and shift samples, and shift single modalities on top (misalignment).

    Turns and zooms are those of the body, in mm: ``spacing`` is that of the patch (d, h, w).
    Values beyond the patch are those of its border; labels beyond do not count.
    """
    count, modalities = batch.x.shape[:2]
    turned = torch.rand(count, generator=generator) < settings.turn
    apart = torch.rand(count, modalities, generator=generator) < settings.misalign
    apart[:, 0] = False  # the labels were drawn on one frame: the first modality stays in it
    apart &= batch.present.cpu()
    angles = _even((count, 3), settings.degrees, generator) * turned[:, None]
    zooms = _even((count, 1), settings.zoom, generator) * turned[:, None]
    shifts = _even((count, modalities, 3), settings.misalign_voxels, generator) * apart[..., None]
    touched = turned | apart.any(dim=1)
    if not bool(touched.any()):
        return batch
    size = batch.x.shape[3:]
    matrices = _matrices(angles, zooms, spacing)
    x, codes = batch.x.clone(), batch.codes.clone()
    for sample in torch.nonzero(touched)[:, 0].tolist():
        rows = _with_shifts(matrices[sample], shifts[sample], size).to(x.device)
        x[sample] = _resampled(x[sample], rows, nearest=False)
        if bool(turned[sample]):
            moved = _resampled(
                (codes[sample] + 1)[None, None].float(), rows[:1], nearest=True
            )  # 0 is beyond the patch
            kept = moved[0, 0].round().long() - 1
            codes[sample] = torch.where(kept < 0, IGNORED, kept).to(codes.dtype)
    return replace(batch, x=x, codes=codes)


def corrupt(batch: Batch, settings: AugmentSettings, generator: torch.Generator) -> Batch:
    """Make one modality of some samples useless: noise, or the same modality of another sample.

    Only samples that show two modalities or more, so that a sound one is left to go by; what is
    held but not shown is spared. The labels stay what they are.
    """
    count = batch.x.shape[0]
    chosen = torch.rand(count, generator=generator) < settings.corrupt
    foreign = torch.rand(count, generator=generator) < 0.5
    which = torch.rand(batch.shown.shape, generator=generator)
    x = batch.x.clone() if bool(chosen.any()) else batch.x
    present, shown = batch.present.cpu(), batch.shown.cpu()
    for sample in torch.nonzero(chosen)[:, 0].tolist():
        if int(shown[sample].sum()) < 2:
            continue
        row = int((which[sample] * shown[sample]).argmax())
        other = (sample + 1) % count
        if bool(foreign[sample]) and other != sample and bool(present[other, row]):
            x[sample, row] = batch.x[other, row]
        else:
            noise = torch.randn(x[sample, row].shape, generator=generator)
            x[sample, row] = noise.to(x.device)
    return replace(batch, x=x)


def appear(x: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Return ``x`` (B, M, C, D, H, W) as other scanners would show it.

    Values are in spreads about 0 (see ``medfuse.intensity``): brightness moves by up to 0.3,
    contrast by a quarter, a smooth field by up to 30 %.
    """
    shape = (*x.shape[:2], 1, 1, 1, 1)
    varied = (torch.rand(shape, generator=generator) < settings.contrast).float()
    gain = 1 + varied * _even(shape, 0.25, generator)
    offset = varied * _even(shape, 0.3, generator)
    power = torch.exp(varied * _even(shape, 0.25, generator))
    x = x * gain.to(x.device) + offset.to(x.device)
    if bool(varied.any()):
        # a gamma that keeps the sign: values lie on both sides of 0
        x = x.sign() * (x.abs() + 1e-6) ** power.to(x.device)
    x = x * _field(x, settings, generator)
    return _grained(x, settings, generator)


def _field(x: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Return a smooth factor about 1, (B, M, 1, D, H, W), 1 where a sample has none."""
    count, modalities = x.shape[:2]
    varied = torch.rand(count, modalities, 1, 1, 1, generator=generator) < settings.bias
    coarse = _even((count, modalities, 3, 3, 3), 0.3, generator) * varied
    if not bool(varied.any()):
        return x.new_ones(())
    smooth = F.interpolate(
        coarse.to(x.device), size=x.shape[3:], mode="trilinear", align_corners=True
    )
    return torch.exp(smooth)[:, :, None]


def _grained(x: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Add noise to half of the modalities that were drawn, blur the others."""
    drawn = torch.rand(x.shape[:2], generator=generator)
    noisy, blurred = drawn < settings.noise / 2, drawn > 1 - settings.noise / 2
    if not bool((noisy | blurred).any()):
        return x
    x = x.clone()
    strength = torch.rand(x.shape[:2], generator=generator) * 0.3
    for sample, row in torch.nonzero(noisy | blurred).tolist():
        if bool(noisy[sample, row]):
            noise = torch.randn(x.shape[2:], generator=generator) * strength[sample, row]
            x[sample, row] += noise.to(x.device)
        else:
            x[sample, row] = F.avg_pool3d(x[sample, row], 3, 1, 1, count_include_pad=False)
    return x


def _absent_is_zero(x: Tensor, present: Tensor) -> Tensor:
    return torch.where(present[:, :, None, None, None, None].to(x.device), x, x.new_zeros(()))


def _even(shape: tuple[int, ...], most: float, generator: torch.Generator) -> Tensor:
    """Return numbers drawn evenly from -most to most."""
    return (torch.rand(shape, generator=generator) * 2 - 1) * most


def _matrices(angles: Tensor, zooms: Tensor, spacing: Spacing) -> Tensor:
    """Return what maps places of the new patch to the old one, (B, 3, 3), in voxels (d, h, w).

    ``angles`` (B, 3) in degrees about d, h, w and ``zooms`` (B, 1) are of the body: from voxels to
    mm, turned there, and back.
    """
    turns = torch.eye(3).repeat(len(angles), 1, 1)
    for axis, (one, other) in enumerate(((1, 2), (0, 2), (0, 1))):
        angle = angles[:, axis] * (math.pi / 180)
        turn = torch.eye(3).repeat(len(angles), 1, 1)
        turn[:, one, one] = turn[:, other, other] = angle.cos()
        turn[:, one, other], turn[:, other, one] = -angle.sin(), angle.sin()
        turns = turns @ turn
    steps = torch.tensor(spacing)
    return turns * (1 + zooms)[:, :, None] * steps[None, :] / steps[:, None]


def _with_shifts(matrix: Tensor, shifts: Tensor, size: torch.Size) -> Tensor:
    """Return what ``affine_grid`` wants for each modality, (M, 3, 4).

    torch counts (x, y, z), which is (w, h, d) here, from -1 to 1 over a side.
    """
    side = torch.tensor([float(n) for n in size])
    relative = matrix * side[None, :] / side[:, None]
    offset = 2 * shifts / side
    rows = torch.cat([relative.expand(len(shifts), 3, 3), offset[:, :, None]], dim=2)
    order = [2, 1, 0]
    return rows[:, order][:, :, [*order, 3]]


def _resampled(x: Tensor, rows: Tensor, *, nearest: bool) -> Tensor:
    """Return ``x`` (M, C, D, H, W) at the places of ``rows``."""
    grid = F.affine_grid(rows, list(x.shape), align_corners=False)
    mode, beyond = ("nearest", "zeros") if nearest else ("bilinear", "border")
    return F.grid_sample(x, grid, mode=mode, padding_mode=beyond, align_corners=False)
