"""Which networks stand on the ladder, on which task, and with what ceiling."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ladder import ceilings
from ladder.tasks import Task
from ladder.train import Rule
from medfuse.fusion.settings import FusionSettings

WIDTHS = (8, 16)  # a lesion is five voxels across: more scales see nothing more
_OTHERS = (
    "gated", "low_rank", "moments", "product", "soft_attention", "hard_attention",
    "cross_attention", "self_attention", "graph",
)  # fmt: skip
_COMBINERS = ("learned", "vote", "entropy", "inverse_variance", "cascade", "stacking")
_MONOTONE = ("mean", "learned", "vote")  # the others weigh or look at the scores in other ways


@dataclass(frozen=True)
class Row:
    """One network on one part. ``sees``: the scans it is given, empty for all of them.

    ``subsets``: trained and tried on every subset of the scans; ``corrupt``: then on spoilt ones.
    ``registered``: trained without shifts, and tried after each B was moved back by a search
    without learning.
    """

    part: str
    name: str
    settings: FusionSettings
    sees: tuple[int, ...] = ()
    subsets: bool = False
    corrupt: bool = False
    registered: bool = False
    seeds: int = 3

    @property
    def ceiling(self) -> float:
        """The best Dice that this kind can reach where it is given all that it sees."""
        if self.part == "subset" and self.sees:
            return ceilings.subset(len(self.sees), 4)
        if self.part == "subset":
            return 1.0
        if len(self.sees) == 1:
            return ceilings.blind(4)
        model = self.settings.level == "model" and self.settings.combiner in _MONOTONE
        return ceilings.monotone(4) if model else 1.0

    def present(self, modalities: int) -> Rule:
        """Return the rule that draws who is there."""
        if self.subsets:
            return _any_subset(modalities)
        flags = torch.zeros(modalities, dtype=torch.bool)
        flags[list(self.sees or range(modalities))] = True
        return lambda count, stream: flags.expand(count, -1)  # noqa: ARG005


def _any_subset(modalities: int) -> Rule:
    def draw(count: int, stream: torch.Generator) -> Tensor:
        numbers = torch.randint(1, 2**modalities, (count, 1), generator=stream)
        return (numbers >> torch.arange(modalities)) % 2 == 1

    return draw


def tasks(side: int) -> dict[str, Task]:
    """Return the task of each part; lengths grow with the side, 6 voxels of 32."""
    reach = 6 * side // 32
    return {
        "code-match": Task("code-match", side=side),
        "shift-match": Task("code-match", side=side, reach=reach, margin=reach, lesions=12),
        "subset": Task("subset", side=side),
    }


def rows(side: int) -> list[Row]:
    """Return all rows, the most telling ones first."""
    plain = FusionSettings(widths=WIDTHS, stem="full", auxiliary=False, reach=6 * side // 32)
    kinds = {
        "data concat": replace(plain, level="data"),
        "feature concat": plain,
        "model mean": replace(plain, level="model"),
        "data offset": replace(plain, level="data", operator="offset"),
        "feature offset": replace(plain, operator="offset"),
    }
    found = [Row("code-match", name, kinds[name]) for name in list(kinds)[:3]]
    found.append(Row("code-match", "A alone", kinds["data concat"], sees=(0,), seeds=1))
    found += [Row("shift-match", name, kinds[name]) for name in ("data offset", "data concat")]
    every = {"subsets": True, "corrupt": True}
    found.append(Row("subset", "data concat", kinds["data concat"], **every))
    found.append(
        Row("shift-match", "register, then data concat", kinds["data concat"], registered=True)
    )
    found += [
        Row("subset", name, kinds[name], **every) for name in ("feature concat", "model mean")
    ]
    found += [Row("shift-match", name, kinds[name]) for name in ("feature concat", "model mean")]
    crossed = replace(plain, operator="cross_attention")
    found.append(Row("shift-match", "feature cross_attention", crossed, seeds=2))
    found.append(Row("code-match", "data offset", kinds["data offset"]))
    found.append(Row("subset", "data offset", kinds["data offset"], **every))
    found += [
        Row(part, "feature offset", kinds["feature offset"], subsets=part == "subset", seeds=1)
        for part in ("code-match", "shift-match", "subset")
    ]
    found += [
        Row("code-match", f"feature {name}", replace(plain, operator=name), seeds=2)
        for name in _OTHERS
    ]
    found += [
        Row("code-match", f"model {name}", replace(plain, level="model", combiner=name), seeds=1)
        for name in _COMBINERS
    ]
    found.append(Row("code-match", "hybrid concat", replace(plain, level="hybrid"), seeds=2))
    found += [
        Row("subset", f"feature {name}", replace(plain, operator=name), subsets=True, seeds=2)
        for name in _OTHERS
    ]
    found += [
        Row("subset", "only " + "".join("ABCD"[scan] for scan in sees), kinds["data concat"],
            sees=sees, seeds=1)
        for sees in ((0,), (1, 2), (0, 2, 3), (0, 1, 2, 3))
    ]  # fmt: skip
    return found
