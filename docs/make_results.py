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
says where it is from, `{{NAME: path.to.figure}}` one figure, and `{{claims}}` the verdicts on the
claims of `docs/results/claims.toml`.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for benchmarks/, as `python -m benchmarks.NAME` has it

from benchmarks import claims, result_tables  # noqa: E402
from benchmarks.records import Record, RecordError, load, source_line  # noqa: E402

FOLDER = ROOT / "docs" / "results"
TARGET = ROOT / "docs" / "results.md"
TABLES = {**result_tables.TABLES, "grid": claims.grid_table}
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
    if place.startswith("table "):
        return _table(record(place.removeprefix("table ").strip()))
    name, colon, path = place.partition(":")
    if not colon:
        raise RecordError(f"{{{{{place}}}}} is none of table NAME, claims and NAME: path")
    return result_tables.figure(record(name.strip()), path.strip())


def _table(record: Record) -> str:
    return f"{TABLES[record.kind](record)}\n\n{source_line(record)}"


def main() -> int:
    """Write or check the page."""
    page = results()
    if "--check" in sys.argv:
        return int(TARGET.read_text(encoding="utf-8") != page)
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
