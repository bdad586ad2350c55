-- Auctions as people see them, with the newest archived state of the fold.
CREATE TABLE auctions (
  id INTEGER PRIMARY KEY,
  seller INTEGER NOT NULL REFERENCES users (id),
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  category TEXT NOT NULL,
  image TEXT NOT NULL,
  currency TEXT NOT NULL,
  is_private INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  starts_at_us INTEGER NOT NULL,
  start_price INTEGER NOT NULL,
  buy_now INTEGER NOT NULL,
  applied_seq INTEGER NOT NULL DEFAULT 0,
  status INTEGER NOT NULL DEFAULT 0,
  outcome INTEGER NOT NULL DEFAULT 0,
  price INTEGER NOT NULL DEFAULT -1,
  bids INTEGER NOT NULL DEFAULT 0,
  ends_at_us INTEGER NOT NULL,
  winner INTEGER NOT NULL DEFAULT 0,
  final_price INTEGER NOT NULL DEFAULT -1,
  sort_price INTEGER NOT NULL,
  state BLOB
) STRICT;
CREATE INDEX auctions_by_status ON auctions (status, ends_at_us);
CREATE INDEX auctions_by_age ON auctions (created_us, status);
CREATE INDEX auctions_by_end ON auctions (ends_at_us, id);
CREATE INDEX auctions_by_price ON auctions (sort_price, id);
CREATE INDEX auctions_by_seller ON auctions (seller, id);

-- Words of title and description.
CREATE VIRTUAL TABLE auction_words USING fts5 (
  title, description, content = 'auctions', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER auctions_words AFTER INSERT ON auctions BEGIN
  INSERT INTO auction_words (rowid, title, description) VALUES (new.id, new.title, new.description);
END;

CREATE TABLE watches (
  user INTEGER NOT NULL REFERENCES users (id),
  auction INTEGER NOT NULL REFERENCES auctions (id),
  PRIMARY KEY (user, auction)
) STRICT, WITHOUT ROWID;

CREATE TABLE images (
  hash BLOB PRIMARY KEY,
  type TEXT NOT NULL,
  bytes BLOB NOT NULL,
  owner INTEGER NOT NULL REFERENCES users (id)
) STRICT;
