-- As in a cluster, for the same queries; alone, nothing is drained.
ALTER TABLE recovery ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
