"""A table style by style, so that a method and a copy are compared at equal style.

In:  the truth of a catalog of concepts and styles, cases, the rows of a comparison.
Out: each method's style and concept columns for the users of every main style.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pigeon_recsys.evaluation.bootstrap import Estimate
from pigeon_recsys.evaluation.columns import Column
from pigeon_recsys.evaluation.comparison import MethodRow, mean_of_scores
from pigeon_recsys.evaluation.comparison_report import estimate_cell, table_line
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.truth import CatalogTruth


@dataclass(frozen=True)
class StyleBreakdown:
    """What the planted truth says of every method, by the main style of the users."""

    cases: Mapping[str, tuple[Case, ...]]  # by style, in alphabetical order
    columns: tuple[Column, ...]
    estimates: Mapping[str, Mapping[tuple[Column, str], Estimate]]  # by method

    @classmethod
    def of(
        cls, truth: CatalogTruth, cases: Sequence[Case], rows: Sequence[MethodRow], *, seed: int
    ) -> "StyleBreakdown":
        """Take the scores of the rows apart by style."""
        places: dict[str, list[int]] = {}
        for place, case in enumerate(cases):
            places.setdefault(truth.main_styles[case.user_id], []).append(place)
        asked = {style: tuple(cases[n] for n in places[style]) for style in sorted(places)}
        columns = dict.fromkeys(
            column for row in rows for column in row.scores if column.is_planted
        )
        estimates: dict[str, dict[tuple[Column, str], Estimate]] = {}
        for row in rows:
            estimates[row.name] = {}
            for column, scores in row.scores.items():
                for style, own in asked.items() if column in columns else ():
                    mean = mean_of_scores(own, [scores[n] for n in places[style]], seed=seed)
                    if mean is not None:
                        estimates[row.name][column, style] = mean
        return cls(asked, tuple(columns), estimates)

    def to_json(self) -> dict[str, Any]:
        """Return the table as plain data: method, column, style; null where nothing was made."""
        return {
            "styles": {
                style: {"users": _num_users(asked), "cases": len(asked)}
                for style, asked in self.cases.items()
            },
            "methods": [
                {
                    "name": name,
                    "values": {
                        column.title: {style: _data(own, column, style) for style in self.cases}
                        for column in self.columns
                    },
                }
                for name, own in self.estimates.items()
            ],
        }

    def to_markdown(self) -> str:
        """Return one Markdown table a column, with the methods below and the styles across."""
        parts: list[str] = []
        for column in self.columns:
            heads = [
                f"{style} ({_num_users(asked)} users, {len(asked)} cases)"
                for style, asked in self.cases.items()
            ]
            parts.append(f"\n## {column.title}, by the user's main style\n")
            parts.append(table_line(["method", *heads]))
            parts.append(table_line(["---"] * (len(heads) + 1)))
            for name, own in self.estimates.items():
                cells = [estimate_cell(own.get((column, style))) for style in self.cases]
                parts.append(table_line([name, *cells]))
        return "\n".join([*parts, ""])


def _num_users(cases: Sequence[Case]) -> int:
    return len({case.user_id for case in cases})


def _data(
    own: Mapping[tuple[Column, str], Estimate], column: Column, style: str
) -> dict[str, float | int] | None:
    return asdict(own[column, style]) if (column, style) in own else None
