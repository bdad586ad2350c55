-- Entries that came before their predecessors, with their epoch: what recovery voids of an old epoch
-- never stands in the way of a new one's.
CREATE TABLE staging (
  auction INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (auction, seq, epoch)
) STRICT, WITHOUT ROWID;
