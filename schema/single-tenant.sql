-- The tables that a session check reads, without tenants. The option that goes with them is multiTenant: false.

CREATE TABLE users (
  user_id    uuid NOT NULL,
  user_type  text NOT NULL CHECK (user_type IN ('client', 'internal')),
  username   text,
  email      text,
  first_name text,
  last_name  text,
  contact_id uuid,
  PRIMARY KEY (user_id)
);

CREATE TABLE sessions (
  session_id         uuid NOT NULL,
  user_id            uuid NOT NULL,
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
