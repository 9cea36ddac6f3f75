-- Notifications for the option listen: as soon as a session has ended, or what is kept of it has changed, each process is told.
--
-- Run it as the owner of the tables. It can be run again at any time. It sends nothing when a session starts or is extended.
-- To take it back: DROP FUNCTION authjs_bridge.notify CASCADE; which drops its triggers, too.

CREATE SCHEMA IF NOT EXISTS authjs_bridge;

-- Sends the ids of the sessions, users or tenants (argument 1) whose rows a statement has changed. Argument 2 is the column with the
-- id. The others are the columns that count in an UPDATE.
CREATE OR REPLACE FUNCTION authjs_bridge.notify() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Times without a zone are in UTC.
SET timezone = 'UTC'
-- Else PostgreSQL can plan at each call, which takes longer than what is planned.
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  kind text := TG_ARGV[0];
  key text := TG_ARGV[1];
  columns text[] := TG_ARGV[2:];
  ids text[];
  tenants text[];
  payload text := '{}';
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(DISTINCT r ->> key), array_agg(DISTINCT r ->> 'tenant') INTO ids, tenants
    FROM (SELECT to_jsonb(n) AS r FROM new_rows n LIMIT 10001) changed;
  ELSIF TG_OP = 'UPDATE' THEN
    SELECT array_agg(DISTINCT id), array_agg(DISTINCT tenant) INTO ids, tenants
    FROM (
      SELECT r ->> key AS id, r ->> 'tenant' AS tenant
      FROM (SELECT to_jsonb(o) AS r, true AS is_old FROM old_rows o UNION ALL SELECT to_jsonb(n), false FROM new_rows n) rows
      CROSS JOIN LATERAL (SELECT ARRAY(SELECT r -> c FROM unnest(columns) c) AS counted) counts
      GROUP BY 1, 2
      HAVING array_agg(counted ORDER BY counted) FILTER (WHERE is_old)
          IS DISTINCT FROM array_agg(counted ORDER BY counted) FILTER (WHERE NOT is_old)
        -- It is to end sooner than before.
        OR kind = 'sessions' AND min((r ->> 'expires_at')::timestamptz) FILTER (WHERE NOT is_old)
          < coalesce(min((r ->> 'expires_at')::timestamptz) FILTER (WHERE is_old), 'infinity')
      LIMIT 10001) changed;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(DISTINCT r ->> key), array_agg(DISTINCT r ->> 'tenant') INTO ids, tenants
    FROM (
      SELECT r FROM (SELECT to_jsonb(o) AS r FROM old_rows o) rows
      -- A session that has ended before is over for each process already.
      WHERE kind <> 'sessions' OR r ->> 'revoked_at' IS NULL AND coalesce((r ->> 'expires_at')::timestamptz > now(), true)
      LIMIT 10001) changed;
  END IF;
  IF TG_OP <> 'TRUNCATE' THEN
    ids := array_remove(ids, NULL);
    IF coalesce(cardinality(ids), 0) = 0 THEN
      RETURN NULL;
    ELSIF cardinality(ids) <= 100 THEN
      payload := jsonb_build_object(kind, ids);
    ELSIF cardinality(ids) <= 10000 AND cardinality(tenants) <= 100 AND array_position(tenants, NULL) IS NULL THEN
      payload := jsonb_build_object('tenants', tenants);
    END IF;
  END IF;
  -- Without ids it is about all sessions. PostgreSQL refuses one of 8000 bytes.
  PERFORM pg_notify('authjs_bridge', CASE WHEN octet_length(payload) < 8000 THEN payload ELSE '{}' END);
  RETURN NULL;
END $$;

-- Makes the triggers of one table.
CREATE OR REPLACE FUNCTION authjs_bridge.watch(relation regclass, kind text, id text, VARIADIC columns text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  operation text;
  rows text;
  arguments text;
  missing text;
BEGIN
  IF kind NOT IN ('sessions', 'users', 'tenants') THEN
    RAISE EXCEPTION 'the kind is sessions, users or tenants, not %', kind;
  END IF;
  SELECT c INTO missing FROM unnest(id || columns) c
  WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = c AND attnum > 0 AND NOT attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION '% has no column %', relation, missing;
  END IF;
  SELECT string_agg(quote_literal(argument), ', ') INTO arguments FROM unnest(ARRAY[kind, id] || columns) argument;
  FOR operation, rows IN VALUES
    ('INSERT', 'REFERENCING NEW TABLE AS new_rows'),
    ('UPDATE', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
    ('DELETE', 'REFERENCING OLD TABLE AS old_rows'),
    ('TRUNCATE', '')
  LOOP
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', 'authjs_bridge_' || kind || '_' || lower(operation), relation);
    -- Of a session that starts nobody knows anything.
    CONTINUE WHEN kind = 'sessions' AND operation = 'INSERT';
    EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION authjs_bridge.notify(%s)',
      'authjs_bridge_' || kind || '_' || lower(operation), operation, relation, rows, arguments);
  END LOOP;
END $$;

-- One line for each table. Of sessions name the columns that can end one: created_at, too, with the option absoluteMaxAge. Of users
-- name those that the options userCheck and freshClaims read. Where users are a view, name the tables behind it, each with its column
-- for the user's id: a row more or less counts, too.
SELECT authjs_bridge.watch('sessions', 'sessions', 'session_id', 'user_id', 'revoked_at');
SELECT authjs_bridge.watch('users', 'users', 'user_id', 'user_type');
