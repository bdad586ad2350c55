-- Entries and bids lie in a table for each month in which their auction was published, so that an old month
-- can be taken out as a whole. An auction's id begins with its time (41 bits of milliseconds since 2024,
-- then 22 random ones), so a month is a range of ids, and each of the unique keys begins with the id.
CREATE FUNCTION first_id_of(begins timestamptz) RETURNS bigint IMMUTABLE STRICT LANGUAGE sql
RETURN ((extract(epoch FROM begins) * 1000)::bigint - 1704067200000) << 22;

ALTER TABLE entries RENAME TO entries_first;
ALTER INDEX entries_pkey RENAME TO entries_first_pkey;
ALTER INDEX entries_by_bid_id RENAME TO entries_first_by_bid_id;
CREATE TABLE entries (LIKE entries_first) PARTITION BY RANGE (auction);
ALTER TABLE entries ADD PRIMARY KEY (auction, seq);
CREATE UNIQUE INDEX entries_by_bid_id ON entries (auction, bid_id);
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();

ALTER TABLE bids RENAME TO bids_first;
ALTER INDEX bids_pkey RENAME TO bids_first_pkey;
ALTER INDEX bids_by_time RENAME TO bids_first_by_time;
ALTER INDEX bids_by_bidder RENAME TO bids_first_by_bidder;
CREATE TABLE bids (LIKE bids_first INCLUDING CONSTRAINTS) PARTITION BY RANGE (auction);
ALTER TABLE bids ADD PRIMARY KEY (auction, seq);
CREATE INDEX bids_by_time ON bids (auction, t_us);
CREATE INDEX bids_by_bidder ON bids (bidder, auction, seq);

-- A part of `whole` for the months from `begins` to before `ends`, if it is not there.
CREATE FUNCTION ledger_part(whole text, begins timestamptz, ends timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  part text := whole || to_char(begins AT TIME ZONE 'UTC', '_YYYY_MM');
BEGIN
  IF to_regclass(part) IS NOT NULL THEN RETURN; END IF;
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, whole);
  -- A statement on the part itself does not pass the whole's trigger.
  IF whole = 'entries' THEN
    EXECUTE format('CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
      FOR EACH STATEMENT EXECUTE FUNCTION entries_stay()', part);
  END IF;
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', whole, part,
    first_id_of(begins), first_id_of(ends));
END$$;

-- The parts of the next two months. What has come before its part was there stays in `..._other`, and
-- its month there with it.
CREATE FUNCTION ledger_ahead() RETURNS void LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
  this timestamptz := date_trunc('month', now(), 'UTC');
  begins timestamptz;
  whole text;
BEGIN
  PERFORM pg_advisory_xact_lock(7094165810274); -- of several programs, one
  FOREACH whole IN ARRAY ARRAY['entries', 'bids'] LOOP
    FOR i IN 1 .. 2 LOOP
      begins := (this AT TIME ZONE 'UTC' + make_interval(months => i)) AT TIME ZONE 'UTC';
      BEGIN
        PERFORM ledger_part(whole, begins,
          (begins AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
      EXCEPTION WHEN check_violation THEN NULL;
      END;
    END LOOP;
  END LOOP;
END$$;

-- What there is, with all of this month; and what no part is there for: nothing, as long as somebody
-- calls ledger_ahead() once a month.
DO $$
DECLARE
  next text := first_id_of((date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
BEGIN
  EXECUTE 'ALTER TABLE entries ATTACH PARTITION entries_first FOR VALUES FROM (MINVALUE) TO (' || next || ')';
  EXECUTE 'ALTER TABLE bids ATTACH PARTITION bids_first FOR VALUES FROM (MINVALUE) TO (' || next || ')';
END$$;
CREATE TABLE entries_other PARTITION OF entries DEFAULT;
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON entries_other
FOR EACH STATEMENT EXECUTE FUNCTION entries_stay();
CREATE TABLE bids_other PARTITION OF bids DEFAULT;
SELECT ledger_ahead();
