-- What limits of an account count: its auctions that are not over, its newest ones, and the room that
-- its images take, each as at least a page of the disk.
CREATE INDEX auctions_not_over_by_seller ON auctions (seller, created_us) WHERE status < 3;
CREATE INDEX auctions_by_seller_and_age ON auctions (seller, created_us);

CREATE TABLE image_use (
  owner BIGINT PRIMARY KEY REFERENCES users (id),
  bytes BIGINT NOT NULL
);
INSERT INTO image_use SELECT owner, sum(greatest(length(bytes), 4096)) FROM images GROUP BY owner;
