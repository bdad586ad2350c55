-- How often the drain of the epoch was begun: the markers of each attempt have numbers of their own, so
-- that none takes what a persister recorded of the one before for its own.
ALTER TABLE recovery ADD COLUMN attempt BIGINT NOT NULL DEFAULT 0;
