"""The ladder's ledger as Markdown tables, the ceiling beside each figure."""

from __future__ import annotations

from ledger import Ledger, Row
from linear.tables import table

from ladder import ceilings
from ladder.tasks import DAMAGES


def report(ledger: Ledger) -> str:
    """Return all tables that the ledger can fill, one set for each side, device and budget."""
    text = []
    groups = {(r["side"], r["device"], r["budget"]): None for r in ledger.rows if "budget" in r}
    for side, device, budget in groups:
        text.append(f"### {side}³ voxels, {budget:g} s of {device} a network\n")
        for part, write in (
            ("code-match", _matched),
            ("shift-match", _shifted),
            ("subset", _subsets),
            ("corrupt", _corrupt),
        ):
            wanted = {"part": part, "side": side, "device": device, "budget": budget}
            rows = list(ledger.select(**wanted))
            if rows:
                text.append(f"#### {part}\n\n{write(rows)}")
    checks = list(ledger.select(part="check"))
    if checks:
        text.append(f"### Agreement check\n\n{_checks(checks)}")
    return "\n".join(text)


def _matched(rows: list[Row]) -> str:
    lines = [
        [name, _seeds(mine), _each(mine, "dice"), f"{mine[0]['ceiling']:.2f}", *_costs(mine)]
        for name, mine in _named(rows)
    ]
    return table(["network", "seeds", "Dice", "ceiling", *_COSTS], lines)


def _shifted(rows: list[Row]) -> str:
    reaches = sorted(int(name[5:]) for name in rows[0] if name.startswith("dice_"))
    lines = []
    for name, mine in _named(rows):
        dices = " / ".join(_each(mine, f"dice_{reach}") for reach in reaches)
        wrong = " / ".join(  # who looks for no shift has no error
            _each(mine, f"error_{reach}", 2) for reach in reaches if f"error_{reach}" in mine[0]
        )
        lines.append([name, _seeds(mine), dices, f"{mine[0]['ceiling']:.2f}", wrong or "-",
                      *_costs(mine)])  # fmt: skip
    shifts = " / ".join(map(str, reaches))
    head = ["network", "seeds", f"Dice, shifts up to {shifts}", "ceiling", "error, voxels"]
    return table([*head, *_COSTS], lines) + f"\nB ignored: {ceilings.blind(4):.2f}.\n"


def _subsets(rows: list[Row]) -> str:
    lines = []
    for name, mine in _named(rows):
        whole = "more_is_worse" in mine[0]
        lines.append([name, _seeds(mine), _by_size(mine), _each(mine, "regret"),
                      _each(mine, "worst"), _each(mine, "more_is_worse") if whole else "-",
                      _each(mine, "counter_intuitive") if whole else "-",
                      *_costs(mine)])  # fmt: skip
    best = " / ".join(f"{ceilings.subset(size, 4):.3f}" for size in (1, 2, 3, 4))
    head = ["network", "seeds", "Dice by size of the subset", "mean regret", "worst regret",
            "one scan more costs at most", "counter-intuitive rate"]  # fmt: skip
    return table([*head, *_COSTS], lines) + f"\nCeilings by size 1 to 4: {best}.\n"


def _by_size(rows: list[Row]) -> str:
    found: dict[int, list[float]] = {}
    for row in rows:
        for seen, value in row["pooled"].items():
            found.setdefault(len(seen), []).append(value)
    return " / ".join(f"{sum(values) / len(values):.3f}" for _, values in sorted(found.items()))


def _corrupt(rows: list[Row]) -> str:
    words = ("believed", "checked", "told")
    lines = []
    for name, mine in _named(rows):
        dices = [" / ".join(_each(mine, f"{damage}_{word}") for damage in DAMAGES)
                 for word in words]  # fmt: skip
        lost = max(row[f"{damage}_loss"] for row in mine for damage in DAMAGES)
        lines.append([name, _seeds(mine), *dices, f"{lost:.3f}"])
    kinds = " / ".join(DAMAGES)
    note = (
        f"\nDice: {kinds}; ceiling {ceilings.subset(3, 4):.3f}. A foreign scan that is believed: "
        f"{ceilings.believed(4):.3f} by the closed form.\n"
    )
    head = ["network", "seeds", "check off", "check on", "declared absent", "lost at most"]
    return table(head, lines) + note


def _checks(rows: list[Row]) -> str:
    lines = []
    for name, mine in _named(rows):
        cases = sum(row["cases"] for row in mine)
        rates = [sum(row[word] * row["cases"] for row in mine) / cases
                 for word in ("named", "false") if word in mine[0]]  # fmt: skip
        words = [f"{rate:.3f}" for rate in rates]
        lines.append(
            [name, _seeds(mine), str(cases), *(["-", *words] if len(words) < 2 else words)]
        )
    return table(["scans", "seeds", "cases", "spoilt scan named", "a good scan named"], lines)


_COSTS = ("steps", "seconds", "parameters")


def _costs(rows: list[Row]) -> list[str]:
    seconds = sum(row["seconds"] for row in rows) / len(rows)
    steps = [row["steps"] for row in rows]
    span = f"{min(steps)}" if len(set(steps)) == 1 else f"{min(steps)}-{max(steps)}"
    return [span, f"{seconds:.0f}", f"{rows[0]['parameters'] / 1e3:.0f} k"]


def _named(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    names = list(dict.fromkeys(row["name"] for row in rows))
    return [(name, [row for row in rows if row["name"] == name]) for name in names]


def _seeds(rows: list[Row]) -> str:
    return ", ".join(str(row["seed"]) for row in rows)


def _each(rows: list[Row], name: str, digits: int = 3) -> str:
    """Return the figure, of several seeds the worst to the best."""
    values = sorted(row[name] for row in rows)
    words = list(dict.fromkeys(f"{value:.{digits}f}" for value in (values[0], values[-1])))
    return "–".join(words)
