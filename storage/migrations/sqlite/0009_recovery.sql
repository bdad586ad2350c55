-- A cluster keeps here which epoch it is in; alone, the start counter of `epochs` is all there is. The
-- table of entries that came after their epoch stays empty, and is here for the same queries.
CREATE TABLE recovery (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  epoch INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('SEALING', 'REBUILDING', 'OPENING', 'OPEN')),
  opened_us INTEGER NOT NULL
) STRICT;
INSERT INTO recovery VALUES (1, 0, 'OPEN', 0);
CREATE TABLE drained (
  epoch INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (epoch, shard, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE void_entries (
  id INTEGER PRIMARY KEY,
  auction INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  seen_us INTEGER NOT NULL
) STRICT;
