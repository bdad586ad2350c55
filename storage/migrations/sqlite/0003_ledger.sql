-- The journal: entries made durable and not yet archived, in the order of their commit. Nothing but
-- the row id is indexed, so that an append costs one page.
CREATE TABLE journal (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  auction INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;

-- Every entry of every auction with what the fold made of it. Never changed, never deleted.
CREATE TABLE entries (
  auction INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  bid_id BLOB NOT NULL,
  bytes BLOB NOT NULL,
  verdict BLOB NOT NULL,
  chain BLOB NOT NULL,
  PRIMARY KEY (auction, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX entries_by_bid_id ON entries (auction, bid_id);
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN
  SELECT raise(ABORT, 'entries are never changed');
END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries BEGIN
  SELECT raise(ABORT, 'entries are never deleted');
END;

-- Accepted bids and purchases, for history and own pages; and lowered reserves, which a recount needs.
CREATE TABLE bids (
  auction INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  type INTEGER NOT NULL,
  bidder INTEGER NOT NULL,
  max INTEGER NOT NULL,
  price INTEGER NOT NULL,
  code INTEGER NOT NULL,
  is_live INTEGER NOT NULL,
  t_us INTEGER NOT NULL,
  PRIMARY KEY (auction, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX bids_by_bidder ON bids (bidder, auction, seq);

CREATE TABLE payments (
  id INTEGER PRIMARY KEY,
  auction INTEGER NOT NULL UNIQUE,
  buyer INTEGER NOT NULL,
  seller INTEGER NOT NULL,
  amount INTEGER NOT NULL,
  currency TEXT NOT NULL,
  status INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  deadline_us INTEGER NOT NULL
) STRICT;
CREATE INDEX payments_by_status ON payments (status, created_us);
CREATE INDEX payments_by_buyer ON payments (buyer, id);
CREATE INDEX payments_by_seller ON payments (seller, id);

-- Entries whose place was taken by other content: a fault that a person must look at.
CREATE TABLE conflicts (
  id INTEGER PRIMARY KEY,
  auction INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  seen_us INTEGER NOT NULL
) STRICT;

-- How often a server has started on this data.
CREATE TABLE epochs (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  epoch INTEGER NOT NULL
) STRICT;
INSERT INTO epochs VALUES (1, 0);
