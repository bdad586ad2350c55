-- Which epoch the installation is in and how far its recovery is: one row that all processes share.
CREATE TABLE recovery (
  one SMALLINT PRIMARY KEY CHECK (one = 1),
  epoch BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('SEALING', 'REBUILDING', 'OPENING', 'OPEN')),
  opened_us BIGINT NOT NULL
);
INSERT INTO recovery VALUES (1, 0, 'SEALING', 0);

-- Markers of a recovery that a persister has met, with all before them applied.
CREATE TABLE drained (
  epoch BIGINT NOT NULL,
  shard SMALLINT NOT NULL,
  number SMALLINT NOT NULL,
  PRIMARY KEY (epoch, shard, number)
);

-- Entries of an epoch that came when it was over: nobody was told that they count.
CREATE TABLE void_entries (
  id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  auction BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  bytes BYTEA NOT NULL,
  seen_us BIGINT NOT NULL
);
