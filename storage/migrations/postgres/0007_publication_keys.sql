-- The key under which a seller asked for an auction, and a digest of what was asked: the same request
-- again is answered with the same auction.
ALTER TABLE auctions ADD COLUMN key TEXT;
ALTER TABLE auctions ADD COLUMN asked BYTEA;
CREATE UNIQUE INDEX auctions_by_key ON auctions (seller, key) WHERE key IS NOT NULL;
