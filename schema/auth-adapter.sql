-- The sessions of an app whose users are in the tables that @auth/pg-adapter uses:
-- https://authjs.dev/getting-started/adapters/pg
--
-- The options that go with it:
--   {
--     "tables": { "sessions": "authjs_bridge.sessions", "users": "authjs_bridge.users" },
--     "multiTenant": false,
--     "userCheck": "exists"
--   }
-- The claims that the jwt callback sets: id, the id of the user, and session_id, the key of the row that it has inserted
-- into authjs_bridge.sessions. In Auth.js set session: { strategy: 'jwt' }.
--
-- The adapter's own table sessions is not used: it has no column for a revocation. Don't leave out the option tables, or the
-- adapter's tables are read, which have the same names.
--
-- Run it as the owner of users. It can be run again at any time.
-- If users is not in the schema public, write the name of its schema in place of public.

CREATE SCHEMA IF NOT EXISTS authjs_bridge;

CREATE TABLE IF NOT EXISTS authjs_bridge.sessions (
  session_id         uuid NOT NULL,
  user_id            integer NOT NULL,
  login_method       text,
  expires_at         timestamptz,
  revoked_at         timestamptz,
  revoked_reason     text,
  ip_address         text,
  user_agent         text,
  device_fingerprint text,
  device_name        text,
  device_type        text,
  location_data      jsonb,
  last_activity_at   timestamptz,
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (session_id)
);

CREATE INDEX IF NOT EXISTS sessions_user_id_idx ON authjs_bridge.sessions (user_id);

-- Deleting a user deletes the sessions, too, which hold IP addresses and devices. NOT VALID doesn't look at the rows that are
-- there, so that this is quick.
ALTER TABLE authjs_bridge.sessions DROP CONSTRAINT IF EXISTS sessions_user_id_fkey;
ALTER TABLE authjs_bridge.sessions ADD CONSTRAINT sessions_user_id_fkey
  FOREIGN KEY (user_id) REFERENCES public.users (id) ON DELETE CASCADE NOT VALID;

-- The option freshClaims can name the columns of this view. Add those of yours at the end. Before the type of one of them is
-- changed, the view must be dropped. Then run this again.
CREATE OR REPLACE VIEW authjs_bridge.users AS
  SELECT id AS user_id, name, email, image FROM public.users;

-- The rights of a role that only reads, as getSession does:
-- GRANT USAGE ON SCHEMA authjs_bridge TO reader;
-- GRANT SELECT ON authjs_bridge.sessions, authjs_bridge.users TO reader;

-- The rights of a role that also starts, extends and ends sessions:
-- GRANT USAGE ON SCHEMA authjs_bridge TO writer;
-- GRANT SELECT ON authjs_bridge.users TO writer;
-- GRANT SELECT, INSERT, UPDATE, DELETE ON authjs_bridge.sessions TO writer;
