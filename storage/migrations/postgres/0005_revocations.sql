-- Tokens that are refused before they end: those of a login that was logged out, and (login 0) those
-- that an account got before its roles changed. A row is of use until the last of them has ended.
CREATE TABLE revocations (
  login BIGINT NOT NULL,
  account BIGINT NOT NULL,
  since_us BIGINT NOT NULL,
  until_us BIGINT NOT NULL,
  PRIMARY KEY (login, account)
);
CREATE INDEX revocations_by_end ON revocations (until_us);
