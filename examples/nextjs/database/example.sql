-- Tables that the example needs in addition to the package's schema.sql.

CREATE TABLE IF NOT EXISTS tenants (
  tenant uuid PRIMARY KEY,
  slug   text NOT NULL UNIQUE,
  plan   text NOT NULL,
  addons text[] NOT NULL DEFAULT '{}'
);

-- A contact is a person at a client company of the tenant; some contacts may use the client portal.
CREATE TABLE IF NOT EXISTS contacts (
  tenant     uuid NOT NULL,
  contact_id uuid NOT NULL,
  client_id  uuid NOT NULL,
  PRIMARY KEY (tenant, contact_id)
);

CREATE TABLE IF NOT EXISTS passwords (
  tenant  uuid NOT NULL,
  user_id uuid NOT NULL,
  hash    text NOT NULL,
  PRIMARY KEY (tenant, user_id),
  FOREIGN KEY (tenant, user_id) REFERENCES users ON DELETE CASCADE
);

-- The users as the session check reads them: with the columns that the option freshClaims names.
CREATE OR REPLACE VIEW session_users AS
  SELECT users.tenant, users.user_id, users.user_type, tenants.plan, tenants.addons
    FROM users
    JOIN tenants USING (tenant);
