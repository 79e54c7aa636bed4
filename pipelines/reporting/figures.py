"""Pictures for the page: grey, fused, checkered and outlined, each with its sides and a scale.

A picture starts as values on a plane (rows, columns), is enlarged smoothly, and ends as bytes that
an HTML page carries inline. Colours are Okabe and Ito's, which colour-blind readers tell apart
(https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from medfuse.volume import Array32
from pipelines.reporting.planes import Plane

Pixels = npt.NDArray[np.uint8]  # (rows, columns, 3)

SKY, ORANGE, YELLOW, GREEN = (86, 180, 233), (230, 159, 0), (240, 228, 66), (0, 158, 115)
VERMILLION, PURPLE, BLUE = (213, 94, 0), (204, 121, 167), (0, 114, 178)
LABEL_COLOURS = (ORANGE, SKY, YELLOW, PURPLE, GREEN, VERMILLION, BLUE)
_UNSEEN = (16, 24, 32)  # where nothing was seen: a bluish dark, no grey of any picture
_LONGEST = 460  # pixels of a finished picture's longer side
_SQUARES = 9  # of a checkerboard along the longer side
_HEAT = np.array(  # dark violet to pale yellow, luminance rising evenly (inferno's anchors)
    [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]],
    dtype=np.float32,
)


def zoom(plane: Plane) -> float:
    """Return how many picture pixels one pixel of the plane becomes."""
    return _LONGEST / max(plane.shape)


def grey(values: Array32, window: tuple[float, float], plane: Plane) -> Pixels:
    """Draw values (rows, columns) in shades of grey; NaN becomes the dark of "not seen"."""
    shade = _enlarged(_shades(values, window), plane)
    return _unseen_marked(np.repeat(shade[:, :, None], 3, axis=2), values, plane)


def fused(under: Pixels, values: Array32, window: tuple[float, float], plane: Plane) -> Pixels:
    """Lay values in heat colours over a picture, the more opaque the higher they are."""
    heat = _enlarged(_shades(values, window), plane).astype(np.float32) / 255
    table = np.stack(
        [np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(_HEAT)), c) for c in _HEAT.T]
    ).T
    colour = table[(heat * 255).astype(np.uint8)]
    opacity = np.clip(heat * 1.2, 0, 0.75)[:, :, None]
    return (under * (1 - opacity) + colour * opacity).astype(np.uint8)


def checkerboard(
    first: Pixels, second: Pixels, plane: Plane, *, square: float | None = None
) -> Pixels:
    """Alternate two pictures in squares; the top left one is the first's.

    ``square`` is their side in mm; without it there are nine along the longer side.
    """
    square = max(plane.shape) * plane.step / _SQUARES if square is None else square
    side = square / plane.step * zoom(plane)
    rows = (np.arange(first.shape[0]) / side).astype(int)[:, None]
    columns = (np.arange(first.shape[1]) / side).astype(int)[None, :]
    chosen: Pixels = np.where(((rows + columns) % 2 == 0)[:, :, None], first, second)
    return chosen


def outlined(
    under: Pixels,
    values: Array32,
    at: tuple[float, ...],
    plane: Plane,
    *,
    colours: tuple[tuple[int, int, int], ...] = (SKY, ORANGE),
) -> Pixels:
    """Draw the contours of ``values`` at the levels ``at`` over a picture, smooth-edged."""
    seen = np.isfinite(values)
    if not seen.any():
        return under
    # beyond the field of view the nearest value goes on, so that its border draws no contour
    near = ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)
    filled = values[tuple(near)] if not seen.all() else values
    smooth = ndimage.gaussian_filter(filled, 1.2 / plane.step)
    tall = np.asarray(Image.fromarray(smooth).resize(_size(plane), Image.Resampling.BICUBIC))
    inside = _mask(ndimage.binary_erosion(seen, border_value=1), plane)
    drawn = under.copy()
    for level, colour in zip(at, colours, strict=False):
        line = _line(tall, level, plane) * inside
        halo = ndimage.grey_dilation(line, size=(3, 3))
        touched = halo > 0  # few: a line is thin
        opacity = line[touched, None]
        darker = drawn[touched] * (1 - 0.55 * halo[touched, None])
        drawn[touched] = (darker * (1 - opacity) + np.array(colour) * opacity).astype(np.uint8)
    return drawn


def _line(values: Array32, level: float, plane: Plane) -> Array32:
    """How much of each pixel an iso-line of 2.2 pixels covers, 0 to 1, (rows, columns)."""
    slope = np.sqrt(sum(part**2 for part in np.gradient(values)))
    # where the values hardly change, a contour is noise: it fades out
    firm = float(np.percentile(slope[::3, ::3], 90)) * 0.35 + 1e-6
    distance = np.abs(values - level) / np.maximum(slope, 1e-6)
    line: Array32 = np.clip(1.6 - distance, 0, 1) * np.clip(slope / firm - 0.3, 0, 1)
    parts, _ = ndimage.label(line > 0.25, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    shortest = 12 / plane.step * zoom(plane) * 2  # pixels of a line of 12 mm
    small = sizes < shortest
    small[0] = False
    return np.where(small[parts], 0, line).astype(np.float32)


def labelled(under: Pixels, labels: npt.NDArray[np.uint16], plane: Plane) -> Pixels:
    """Tint each label of a plane (rows, columns) over a picture, its border opaque."""
    size = _size(plane)
    drawn = under.astype(np.float32)
    for label in np.unique(labels[labels > 0]):
        part = Image.fromarray(((labels == label) * 255).astype(np.uint8))
        soft = np.asarray(part.resize(size, Image.Resampling.BILINEAR), dtype=np.float32) / 255
        border = np.clip(1 - np.abs(soft - 0.5) * 3, 0, 1)
        opacity = np.maximum(border, 0.3 * soft)[:, :, None]
        drawn = drawn * (1 - opacity) + np.array(label_colour(int(label))) * opacity
    return drawn.astype(np.uint8)


def label_colour(label: int) -> tuple[int, int, int]:
    """Return the colour that a label is drawn in: seven, then their pale kin, then again."""
    cycle, place = divmod(label - 1, len(LABEL_COLOURS))
    red, green, blue = LABEL_COLOURS[place]
    if cycle % 2:
        return (red + 255) // 2, (green + 255) // 2, (blue + 255) // 2
    return red, green, blue


def marked(pixels: Pixels, plane: Plane, *, title: str = "") -> Image.Image:
    """Return a finished picture: sides at its edges, a scale bar, a title where it is."""
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    font = ImageFont.load_default(size=20)
    left, right, top, bottom = tuple(plane.sides)
    for mark, place, anchor in (
        (left, (7, height / 2), "lm"),
        (right, (width - 7, height / 2), "rm"),
        (top, (width / 2, 6), "mt"),
        (bottom, (width / 2, height - 7), "mb"),
    ):
        _write(draw, place, mark, font, anchor)
    small = ImageFont.load_default(size=14)
    if title:
        _write(draw, (7, 6), title, small, "lt")
    _scale_bar(draw, plane, (width, height), small)
    return picture


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    anchor: str,
) -> None:
    draw.text(
        place, text, fill=(255, 255, 255), font=font, anchor=anchor,
        stroke_width=2, stroke_fill=(0, 0, 0),
    )  # fmt: skip


def _scale_bar(
    draw: ImageDraw.ImageDraw,
    plane: Plane,
    size: tuple[int, int],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    pixels_per_mm = zoom(plane) / plane.step
    room = size[0] / pixels_per_mm / 3
    length = next((mm for mm in (100, 50, 20, 10, 5, 2) if mm <= room), 1)
    x, y = size[0] - 10, size[1] - 10
    start = x - length * pixels_per_mm
    draw.rectangle((start - 1, y - 4, x + 1, y + 1), fill=(0, 0, 0))
    draw.rectangle((start, y - 3, x, y), fill=(255, 255, 255))
    said = f"{length // 10} cm" if length >= 10 else f"{length} mm"
    _write(draw, ((start + x) / 2, y - 7), said, font, "mb")


def data_uri(picture: Image.Image) -> str:
    """Return a picture as a JPEG that a page carries inline."""
    colour = picture.convert("RGB")
    red, green, blue = colour.split()
    plain = red.tobytes() == green.tobytes() == blue.tobytes()
    stream = io.BytesIO()
    # thin coloured lines need full colour resolution; grey pictures need no colour at all
    (red if plain else colour).save(stream, "JPEG", quality=82, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _size(plane: Plane) -> tuple[int, int]:
    factor = zoom(plane)
    return max(1, round(plane.shape[1] * factor)), max(1, round(plane.shape[0] * factor))


def _shades(values: Array32, window: tuple[float, float]) -> npt.NDArray[np.uint8]:
    low, high = window
    scaled = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    return np.asarray(np.round(scaled * 255), dtype=np.uint8)


def _enlarged(shades: npt.NDArray[np.uint8], plane: Plane) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(shades).resize(_size(plane), Image.Resampling.BICUBIC))


def _mask(seen: npt.NDArray[np.bool_], plane: Plane) -> npt.NDArray[np.bool_]:
    small = Image.fromarray(seen.astype(np.uint8) * 255)
    return np.asarray(small.resize(_size(plane), Image.Resampling.NEAREST)) > 0


def _unseen_marked(pixels: Pixels, values: Array32, plane: Plane) -> Pixels:
    seen = np.isfinite(values)
    if not seen.all():
        pixels[~_mask(seen, plane)] = _UNSEEN
    return pixels
