-- Every entry of every auction with what the fold made of it. Never changed, never deleted.
CREATE TABLE entries (
  auction BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  bid_id BYTEA NOT NULL,
  bytes BYTEA NOT NULL,
  verdict BYTEA NOT NULL,
  chain BYTEA NOT NULL,
  PRIMARY KEY (auction, seq)
);
CREATE UNIQUE INDEX entries_by_bid_id ON entries (auction, bid_id);
CREATE FUNCTION entries_stay() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION 'entries are never changed or deleted'; END$$;
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();

-- Accepted bids and purchases, for history and own pages; and lowered reserves, which a recount needs.
CREATE TABLE bids (
  auction BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  type SMALLINT NOT NULL,
  bidder BIGINT NOT NULL,
  max BIGINT NOT NULL,
  price BIGINT NOT NULL,
  code SMALLINT NOT NULL,
  is_live SMALLINT NOT NULL CHECK (is_live IN (0, 1)),
  t_us BIGINT NOT NULL,
  PRIMARY KEY (auction, seq)
);
CREATE INDEX bids_by_time ON bids (auction, t_us);
CREATE INDEX bids_by_bidder ON bids (bidder, auction, seq);

CREATE TABLE payments (
  id BIGINT PRIMARY KEY,
  auction BIGINT NOT NULL UNIQUE,
  buyer BIGINT NOT NULL,
  seller BIGINT NOT NULL,
  amount BIGINT NOT NULL,
  currency TEXT NOT NULL,
  status SMALLINT NOT NULL,
  created_us BIGINT NOT NULL,
  deadline_us BIGINT NOT NULL
);
CREATE INDEX payments_by_status ON payments (status, created_us);
CREATE INDEX payments_by_buyer ON payments (buyer, id);
CREATE INDEX payments_by_seller ON payments (seller, id);

-- Entries whose place was taken by other content: a fault that a person must look at.
CREATE TABLE conflicts (
  id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  auction BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  bytes BYTEA NOT NULL,
  seen_us BIGINT NOT NULL
);
CREATE INDEX conflicts_by_auction ON conflicts (auction);

-- How often a server has started on this data.
CREATE TABLE epochs (
  one SMALLINT PRIMARY KEY CHECK (one = 1),
  epoch BIGINT NOT NULL
);
INSERT INTO epochs VALUES (1, 0);
