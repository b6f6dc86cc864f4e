"""Writes docs/results.md from docs/results/template.md and the records beside it.

python docs/make_results.py            write it
python docs/make_results.py --check    exit 1 if it is out of date

A record is `docs/results/records/NAME.json`: a JSON object with `command`, `seeds`, `commit` (that
it was run at) and `cpu_s`; null where one is not known, and `note` says why. Its figures are one of

* `output`: what a command printed with `--json`, as it is: `report` of a run, of several (a list)
  or of a family, `eval`, `ablate`; or `text`, the same of a command that prints a table of text;
* `cells`: a grid, scenario by scenario, as `python -m benchmarks.record_grid` writes it;
* `columns` and `rows`: a table copied by hand.

The template has the prose. In it `{{table NAME}}` becomes the table of a record and the line that
says where it is from, `{{changes NAME}}` and `{{approach NAME}}` further tables of the theory,
`{{NAME: path.to.figure}}` one figure (`result_tables.figure` has what a path may be), and
`{{claims}}` the verdicts on the claims of `docs/results/claims.toml`, `{{verdicts}}` how many there
are of each. Pictures of records are written beside the template.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for benchmarks/, as `python -m benchmarks.NAME` has it

from benchmarks import claims, result_tables, theory_tables  # noqa: E402
from benchmarks.records import Record, RecordError, load, source_line  # noqa: E402

FOLDER = ROOT / "docs" / "results"
TARGET = ROOT / "docs" / "results.md"
TABLES = {
    **result_tables.TABLES,
    "grid": claims.grid_table,
    "theory": theory_tables.families,
}


def _table(record: Record) -> str:
    return TABLES[record.kind](record)


VIEWS = {
    "table": _table,
    "changes": theory_tables.changes,
    "approach": theory_tables.approach,
}
FIGURES = {"grid": claims.grid_figures, "theory": theory_tables.figures}
"""For kinds whose own figures are too many: what a sentence says of them."""
PICTURES = {"matrix.svg": ("theory-long", theory_tables.picture)}
"""Each file, and the record and function that it is drawn from and by."""
PLACE = re.compile(r"\{\{([^{}]+)\}\}")
MADE = (
    "<!-- Made by `python docs/make_results.py` from docs/results/: change the template or the "
    "records there. -->\n"
)


def results(folder: Path = FOLDER) -> str:
    """The whole page. Raises RecordError for a record that is missing, unused or incomplete."""
    records = {path.stem: load(path) for path in sorted((folder / "records").glob("*.json"))}
    used: set[str] = set()
    template = (folder / "template.md").read_text("utf-8")

    def filled(found: re.Match[str]) -> str:
        return _filled(found[1].strip(), records, used, folder)

    page = PLACE.sub(filled, template)
    if unused := sorted(records.keys() - used):
        raise RecordError(f"no place in the template shows {', '.join(unused)}")
    return MADE + page


def _filled(place: str, records: Mapping[str, Record], used: set[str], folder: Path) -> str:
    """What stands in one place of the template."""

    def record(name: str) -> Record:
        if name not in records:
            raise RecordError(f"{{{{{place}}}}}: there is no record {name!r}")
        used.add(name)
        return records[name]

    if place == "claims":
        return claims.table(folder / "claims.toml", record)
    if place == "verdicts":
        return claims.summary(folder / "claims.toml", record)
    view, _, of = place.partition(" ")
    if view in VIEWS:
        shown = record(of.strip())
        return f"{VIEWS[view](shown)}\n\n{source_line(shown)}"
    name, colon, path = place.partition(":")
    if not colon:
        raise RecordError(f"{{{{{place}}}}} is none of table NAME, claims and NAME: path")
    found = record(name.strip())
    summed = FIGURES[found.kind](found) if found.kind in FIGURES else None
    return result_tables.figure(found, path.strip(), summed)


def pictures(folder: Path = FOLDER) -> dict[str, str]:
    """The files of pictures and what is in them."""
    return {
        name: draw(load(folder / "records" / f"{record}.json"))
        for name, (record, draw) in PICTURES.items()
    }


def main() -> int:
    """Write or check the page and its pictures."""
    made = {TARGET: results(), **{FOLDER / name: text for name, text in pictures().items()}}
    if "--check" in sys.argv:
        return int(any(path.read_text(encoding="utf-8") != text for path, text in made.items()))
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
