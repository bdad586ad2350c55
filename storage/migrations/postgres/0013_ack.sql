-- When an entry of this epoch is durable; replicas go by it, whatever they are set to.
ALTER TABLE recovery ADD COLUMN ack TEXT NOT NULL DEFAULT 'journal' CHECK (ack IN ('journal', 'ledger'));
