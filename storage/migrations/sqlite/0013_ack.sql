-- Of clusters; here for the same queries.
ALTER TABLE recovery ADD COLUMN ack TEXT NOT NULL DEFAULT 'journal' CHECK (ack IN ('journal', 'ledger'));
