-- Accounts, logins, exposure limits. Ids are 63-bit integers, times microseconds since 1970 UTC.
CREATE TABLE users (
  id BIGINT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  verifier TEXT NOT NULL,
  roles SMALLINT NOT NULL,
  is_banned SMALLINT NOT NULL DEFAULT 0 CHECK (is_banned IN (0, 1)),
  created_us BIGINT NOT NULL
);

-- The secret of a login is only with its client; here is its SHA-256.
CREATE TABLE logins (
  hash BYTEA PRIMARY KEY,
  "user" BIGINT NOT NULL REFERENCES users (id),
  created_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL
);
CREATE INDEX logins_by_user ON logins ("user");
CREATE INDEX logins_by_expiry ON logins (expires_us);

CREATE TABLE limits (
  "user" BIGINT NOT NULL REFERENCES users (id),
  currency TEXT NOT NULL,
  amount BIGINT NOT NULL,
  PRIMARY KEY ("user", currency)
);
