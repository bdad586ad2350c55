-- Auctions as people see them, with the newest archived state of the fold.
CREATE TABLE auctions (
  id BIGINT PRIMARY KEY,
  seller BIGINT NOT NULL REFERENCES users (id),
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  category TEXT NOT NULL,
  image TEXT NOT NULL,
  currency TEXT NOT NULL,
  is_private SMALLINT NOT NULL CHECK (is_private IN (0, 1)),
  created_us BIGINT NOT NULL,
  starts_at_us BIGINT NOT NULL,
  start_price BIGINT NOT NULL,
  buy_now BIGINT NOT NULL,
  applied_seq BIGINT NOT NULL DEFAULT 0,
  status SMALLINT NOT NULL DEFAULT 0,
  outcome SMALLINT NOT NULL DEFAULT 0,
  price BIGINT NOT NULL DEFAULT -1,
  bids BIGINT NOT NULL DEFAULT 0,
  ends_at_us BIGINT NOT NULL,
  winner BIGINT NOT NULL DEFAULT 0,
  final_price BIGINT NOT NULL DEFAULT -1,
  sort_price BIGINT NOT NULL,
  state BYTEA
);
CREATE INDEX auctions_by_status ON auctions (status, ends_at_us);
CREATE INDEX auctions_by_age ON auctions (created_us, status);
CREATE INDEX auctions_by_end ON auctions (ends_at_us, id);
CREATE INDEX auctions_by_price ON auctions (sort_price, id);
CREATE INDEX auctions_by_seller ON auctions (seller, id);

CREATE TABLE watches (
  "user" BIGINT NOT NULL REFERENCES users (id),
  auction BIGINT NOT NULL REFERENCES auctions (id),
  PRIMARY KEY ("user", auction)
);
CREATE INDEX watches_by_auction ON watches (auction);

CREATE TABLE images (
  hash BYTEA PRIMARY KEY,
  type TEXT NOT NULL,
  bytes BYTEA NOT NULL,
  owner BIGINT NOT NULL REFERENCES users (id)
);
