-- What the lists read by: auctions that are not over are few among all that ever were, and a list of
-- them must not walk past the others; a seller's in the order of their ends; who is banned.
CREATE INDEX auctions_open_by_end ON auctions (ends_at_us, id) WHERE status IN (1, 2);
CREATE INDEX auctions_open_by_age ON auctions (created_us, id) WHERE status IN (1, 2);
CREATE INDEX auctions_open_by_price ON auctions (sort_price, id) WHERE status IN (1, 2);
CREATE INDEX auctions_by_seller_and_end ON auctions (seller, ends_at_us, id);
CREATE INDEX users_banned ON users (id) WHERE is_banned = 1;
