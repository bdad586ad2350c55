-- Accounts, logins, exposure limits. Ids are 63-bit integers, times microseconds since 1970 UTC.
CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  verifier TEXT NOT NULL,
  roles INTEGER NOT NULL,
  is_banned INTEGER NOT NULL DEFAULT 0,
  created_us INTEGER NOT NULL
) STRICT;

-- The secret of a login is only with its client; here is its SHA-256.
CREATE TABLE logins (
  hash BLOB PRIMARY KEY,
  user INTEGER NOT NULL REFERENCES users (id),
  created_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX logins_by_user ON logins (user);
CREATE INDEX logins_by_expiry ON logins (expires_us);

CREATE TABLE limits (
  user INTEGER NOT NULL REFERENCES users (id),
  currency TEXT NOT NULL,
  amount INTEGER NOT NULL,
  PRIMARY KEY (user, currency)
) STRICT, WITHOUT ROWID;
