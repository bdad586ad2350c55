-- Entries that came before their predecessors, with their epoch: what recovery voids of an old epoch
-- never stands in the way of a new one's.
CREATE TABLE staging (
  auction BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  bytes BYTEA NOT NULL,
  PRIMARY KEY (auction, seq, epoch)
);
