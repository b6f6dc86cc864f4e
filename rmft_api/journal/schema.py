"""The tables of a journal.

Money lives in the rows of `attempts`; triggers keep `budget` equal to their sums in the same
statement, so no code path can spend past a cap or forget to count.
"""

import sqlite3

VERSION = 2
RUN_SCOPE = -1
"""The budget row of the whole run; iterations use their own numbers."""

_TABLES = """
CREATE TABLE run (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  created INTEGER NOT NULL,
  config TEXT NOT NULL,
  provenance TEXT NOT NULL
) STRICT;

-- One row for every time that something was asked of the outside world. No index but the id, so
-- that rows are only appended: the owner knows every key's ids.
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  digest BLOB NOT NULL,
  request BLOB,
  state TEXT NOT NULL CHECK (state IN ('sent', 'done', 'lost', 'released', 'refused')),
  reserved INTEGER NOT NULL CHECK (reserved >= 0),
  spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
  excess INTEGER NOT NULL DEFAULT 0 CHECK (excess >= 0),
  created INTEGER NOT NULL,
  settled INTEGER,
  answer BLOB
) STRICT;

-- `spent` never passes what was reserved; a bill above it is `excess`: counted, and reported.
CREATE TABLE budget (
  scope INTEGER PRIMARY KEY,
  cap INTEGER,
  spent INTEGER NOT NULL DEFAULT 0,
  reserved INTEGER NOT NULL DEFAULT 0,
  excess INTEGER NOT NULL DEFAULT 0,
  CONSTRAINT within_cap CHECK (cap IS NULL OR spent + reserved <= cap)
) STRICT;
INSERT INTO budget (scope, cap) VALUES (-1, 0), (0, NULL);

CREATE TRIGGER reserve AFTER INSERT ON attempts WHEN NEW.reserved > 0 BEGIN
  UPDATE budget SET reserved = CASE
    WHEN spent + reserved + excess + NEW.reserved > cap THEN RAISE(ABORT, 'within_cap')
    ELSE reserved + NEW.reserved END
  WHERE scope IN (-1, NEW.iteration);
END;

CREATE TRIGGER settle AFTER UPDATE OF reserved, spent, excess ON attempts BEGIN
  UPDATE budget SET
    reserved = reserved + NEW.reserved - OLD.reserved,
    spent = spent + NEW.spent - OLD.spent,
    excess = excess + NEW.excess - OLD.excess
  WHERE scope IN (-1, NEW.iteration);
END;

CREATE TABLE trajectories (
  split TEXT NOT NULL,
  iteration INTEGER NOT NULL,
  scenario INTEGER NOT NULL,
  trajectory INTEGER NOT NULL,
  play BLOB NOT NULL,
  words BLOB NOT NULL,
  PRIMARY KEY (split, iteration, scenario, trajectory)
) STRICT;

CREATE TABLE records (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT;

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;
"""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, all or none. Needs an open transaction."""
    strict = "STRICT" if sqlite3.sqlite_version_info >= (3, 37) else ""
    for statement in _statements(_TABLES.replace("STRICT", strict)):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _statements(script: str) -> list[str]:
    """The script's statements; `executescript` would commit half-way."""
    found: list[str] = []
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found
