"""The ledger as Markdown tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import median

from ledger import Ledger, Row

SUCCESS_MM = 2.0
WRONG_MM = 5.0


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def heads(ledger: Ledger, first: int = 0) -> str:
    """Return the table of made heads from seed ``first`` on, and the ratios to greedy."""
    rows = [row for row in ledger.select(part="heads") if row["seed"] >= first]
    groups = sorted(
        {(row["t1_mm"], row["set"], row["tool"]) for row in rows}, key=lambda g: (g[0], g[1], g[2])
    )
    lines = []
    for t1_mm, set_, tool in groups:
        mine = [r for r in rows if (r["t1_mm"], r["set"], r["tool"]) == (t1_mm, set_, tool)]
        lines.append([f"{set_}, {t1_mm:g} mm", tool, _seeds(mine), _success(mine, "tre"),
                      _each(mine, "tre", _middle_and_worst), _each(mine, "cpu", _spread),
                      _worst(mine, "rss"), _verdicts(mine), str(_silent(mine, "tre"))])  # fmt: skip
    text = table(
        ["set, T1", "tool", "seeds CT / PET / T2", "success",
         "TRE mm CT / PET / T2: median (worst)",
         "CPU-s CT / PET / T2: median (range)", "RSS MB", "pass/review/fail", "silently wrong"],
        lines,
    )  # fmt: skip
    return text + "\n" + _ratios(rows)


def _ratios(rows: list[Row]) -> str:
    """Return ours against greedy on the pairs that both have."""
    lines = []
    for t1_mm, set_ in sorted({(row["t1_mm"], row["set"]) for row in rows}):
        here = [r for r in rows if (r["t1_mm"], r["set"]) == (t1_mm, set_) and "failed" not in r]
        ours = {(r["modality"], r["seed"]): r for r in here if r["tool"] == "ours"}
        theirs = {(r["modality"], r["seed"]): r for r in here if r["tool"] == "greedy"}
        for modality in ("CT", "PET", "T2"):
            shared = [key for key in ours if key in theirs and key[0] == modality]
            if not shared:
                continue
            quotient = [ours[key]["cpu"] / theirs[key]["cpu"] for key in shared]
            lines.append([f"{set_}, {t1_mm:g} mm", modality, str(len(shared)),
                          f"{median(quotient):.2f} ({min(quotient):.2f}-{max(quotient):.2f})",
                          f"{median(ours[key]['tre'] for key in shared):.3f}",
                          f"{median(theirs[key]['tre'] for key in shared):.3f}"])  # fmt: skip
    return table(
        ["set, T1", "modality", "pairs", "CPU-s ours / greedy", "median TRE ours", "greedy"], lines
    )


def cases(ledger: Ledger, part: str) -> str:
    """Return the table of a part whose rows carry ``group``, ``error`` and ``verdict``."""
    rows = list(ledger.select(part=part))
    lines = []
    for group, tool in sorted({(row["group"], row["tool"]) for row in rows}):
        mine = [row for row in rows if (row["group"], row["tool"]) == (group, tool)]
        good = [row["error"] for row in mine if row.get("error") is not None]
        lines.append([group, tool, str(len(mine)), f"{median(good):.2f}" if good else "-",
                      f"{max(good):.2f}" if good else "-", *(_within(mine, mm) for mm in (1, 2, 3)),
                      _spread([row["cpu"] for row in mine if "cpu" in row]),
                      _verdicts(mine), str(_silent(mine, "error"))])  # fmt: skip
    return table(
        ["pairs", "tool", "cases", "median mm", "worst mm", "within 1 mm", "2 mm", "3 mm",
         "CPU-s: median (range)", "pass/review/fail", "silently wrong"],
        lines,
    )  # fmt: skip


def plain(ledger: Ledger, part: str, columns: Sequence[str]) -> str:
    """Return the rows of a part as they are."""
    rows = ledger.select(part=part)
    return table(columns, ([_said(row.get(name)) for name in columns] for row in rows))


def _said(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)


def _seeds(rows: list[Row]) -> str:
    """Return how many seeds each of CT, PET, T2 had, and which lie between."""
    seeds = sorted({row["seed"] for row in rows})
    counts = [len({r["seed"] for r in rows if r["modality"] == m}) for m in ("CT", "PET", "T2")]
    return f"{' / '.join(map(str, counts))} of {seeds[0]}-{seeds[-1]}"


def _success(rows: list[Row], name: str) -> str:
    return f"{sum(row.get(name, 1e9) < SUCCESS_MM for row in rows)}/{len(rows)}"


def _within(rows: list[Row], mm: float) -> str:
    good = sum((row.get("error") is not None and row["error"] < mm) for row in rows)
    return f"{100 * good / len(rows):.0f} %"


def _each(rows: list[Row], name: str, say: Callable[[list[float]], str]) -> str:
    by_modality = (
        [row[name] for row in rows if row["modality"] == modality and name in row]
        for modality in ("CT", "PET", "T2")
    )
    return " / ".join(say(values) for values in by_modality)


def _middle_and_worst(values: list[float]) -> str:
    return f"{median(values):.3f} ({max(values):.3g})" if values else "-"


def _spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})" if values else "-"


def _worst(rows: list[Row], name: str) -> str:
    return f"{max((row.get(name, 0) for row in rows), default=0):.0f}"


def _verdicts(rows: list[Row]) -> str:
    if not any("verdict" in row for row in rows):
        return "-"
    counts = Counter(row.get("verdict", "error") for row in rows)
    return "/".join(str(counts[word]) for word in ("pass", "review", "fail")) + (
        f" ({counts['error']} errors)" if counts["error"] else ""
    )


def _silent(rows: list[Row], name: str) -> int:
    """Count what ended normally, was called good, and is wrong; peers call everything good."""
    return sum(
        row.get("verdict", "pass") == "pass"
        and (row.get("never", False) or (row.get(name) or 0) > WRONG_MM)
        for row in rows
        if "failed" not in row
    )
