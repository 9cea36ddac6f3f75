-- The sessions of an app whose users are in the tables that Prisma makes for Auth.js:
-- https://authjs.dev/getting-started/adapters/prisma
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
-- Prisma's own table "Session" is not used: it has no column for a revocation, and Prisma drops columns that schema.prisma
-- doesn't have. The PostgreSQL schema authjs_bridge needs nothing in schema.prisma, since Prisma changes only those
-- schemas that are named there or in its URL. Don't name authjs_bridge.
--
-- Run it as the owner of "User". It can be run again at any time, and must be after `prisma migrate reset` or
-- `prisma db push --force-reset`, which drop the view and the foreign key together with "User".
-- If "User" is not in the schema public, write the name of its schema in place of public.

CREATE SCHEMA IF NOT EXISTS authjs_bridge;

CREATE TABLE IF NOT EXISTS authjs_bridge.sessions (
  session_id         uuid NOT NULL,
  user_id            text NOT NULL,
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
  FOREIGN KEY (user_id) REFERENCES public."User" (id) ON DELETE CASCADE NOT VALID;

-- The option freshClaims can name the columns of this view. Add those of yours at the end. Before the type of one of them is
-- changed, the view must be dropped. Then run this again.
CREATE OR REPLACE VIEW authjs_bridge.users AS
  SELECT id AS user_id, name, email, image FROM public."User";

-- The rights of a role that only reads, as getSession does:
-- GRANT USAGE ON SCHEMA authjs_bridge TO reader;
-- GRANT SELECT ON authjs_bridge.sessions, authjs_bridge.users TO reader;

-- The rights of a role that also starts, extends and ends sessions:
-- GRANT USAGE ON SCHEMA authjs_bridge TO writer;
-- GRANT SELECT ON authjs_bridge.users TO writer;
-- GRANT SELECT, INSERT, UPDATE, DELETE ON authjs_bridge.sessions TO writer;
