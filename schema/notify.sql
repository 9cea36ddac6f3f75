-- Notifications for the option listen: as soon as a session has ended, or what is kept of it has changed, each process is told.
--
-- Run it as the owner of the tables, who may also create a schema. Nothing is sent when a session starts or is extended. It can be run
-- again at any time: of the lines for a table, the last one counts.
-- To take it back: SELECT authjs_bridge.unwatch();

CREATE SCHEMA IF NOT EXISTS authjs_bridge;

-- Sends ids of sessions, users or tenants; of many sessions their tenants. Without ids it is about all sessions.
CREATE OR REPLACE FUNCTION authjs_bridge.send(kind text, ids text[], tenants text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  payload text;
BEGIN
  IF cardinality(ids) <= 10000 THEN
    SELECT array_agg(DISTINCT id) INTO ids FROM unnest(ids) id;
    SELECT array_agg(DISTINCT tenant) INTO tenants FROM unnest(tenants) tenant;
    IF cardinality(ids) <= 100 THEN
      payload := jsonb_build_object(kind, ids);
    ELSIF kind = 'sessions' AND cardinality(tenants) <= 100 AND array_position(tenants, NULL) IS NULL THEN
      payload := jsonb_build_object('tenants', tenants);
    END IF;
  END IF;
  -- PostgreSQL refuses one of 8000 bytes.
  PERFORM pg_notify('authjs_bridge', CASE WHEN octet_length(payload) < 8000 THEN payload ELSE '{}' END);
END $$;

-- Makes the triggers of a table that has rows of sessions, users or tenants (kind), and their ids in a column. An UPDATE counts if it
-- changes one of the other columns.
CREATE OR REPLACE FUNCTION authjs_bridge.watch(relation regclass, kind text, id text, VARIADIC columns text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  missing text;
  tenant text := 'NULL::text';
  compared text;
  sooner text := '';
  live text := '';
  arguments text;
  function text := format('authjs_bridge.%I', 'notify_' || kind || '_' || md5(relation || ' ' || id));
  trigger text := 'authjs_bridge_' || kind || '_%s_' || left(md5(id), 8);
  operation text;
  rows text;
BEGIN
  IF kind NOT IN ('sessions', 'users', 'tenants') THEN
    RAISE EXCEPTION 'the kind is sessions, users or tenants, not %', kind;
  ELSIF cardinality(columns) = 0 THEN
    RAISE EXCEPTION 'name the columns of % that count', relation;
  END IF;
  SELECT c INTO missing FROM unnest(id || columns) c
  WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = c AND attnum > 0 AND NOT attisdropped);
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION '% has no column %', relation, missing;
  END IF;
  -- With the primary key, so that it also counts if rows of one id swap their values. As texts, which all types can be.
  SELECT string_agg(format('%I::text', attname), ', ' ORDER BY attnum) INTO compared
  FROM pg_attribute LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary
  WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND (attname = ANY (id || columns) OR attnum = ANY (indkey));
  IF kind = 'sessions' THEN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = 'tenant' AND NOT attisdropped) THEN
      tenant := 'tenant::text';
    END IF;
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = 'revoked_at' AND NOT attisdropped) THEN
      live := ' AND revoked_at IS NULL';
    END IF;
    IF EXISTS (SELECT FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
        WHERE attrelid = relation AND attname = 'expires_at' AND typcategory = 'D' AND NOT attisdropped) THEN
      live := live || ' AND coalesce(expires_at, ''infinity'') > now()';
      sooner := format('
          UNION ALL
          SELECT o.id, o.tenant
          FROM (SELECT %1$I::text AS id, %2$s AS tenant, expires_at FROM old_rows) o
          JOIN (SELECT %1$I::text AS id, %2$s AS tenant, expires_at FROM new_rows) n
            ON o.id = n.id AND o.tenant IS NOT DISTINCT FROM n.tenant
          WHERE n.expires_at < coalesce(o.expires_at, ''infinity'')', id, tenant);
    END IF;
  END IF;
  EXECUTE format($make$
    CREATE OR REPLACE FUNCTION %1$s() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    -- Times without a zone are in UTC.
    SET timezone = 'UTC'
    -- Else PostgreSQL can plan at each call, which takes longer than what is planned.
    SET plan_cache_mode = force_generic_plan AS $trigger$
    #variable_conflict use_column
    DECLARE
      ids text[];
      tenants text[];
    BEGIN
      IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(id), array_agg(tenant) INTO ids, tenants
        FROM (SELECT DISTINCT id, tenant FROM (
          SELECT id, tenant FROM (
            SELECT %2$I::text AS id, %3$s AS tenant, ARRAY[%4$s] FROM old_rows
            EXCEPT ALL SELECT %2$I::text, %3$s, ARRAY[%4$s] FROM new_rows) no_longer
          UNION ALL
          SELECT id, tenant FROM (
            SELECT %2$I::text AS id, %3$s AS tenant, ARRAY[%4$s] FROM new_rows
            EXCEPT ALL SELECT %2$I::text, %3$s, ARRAY[%4$s] FROM old_rows) only_now%5$s
          ) changed WHERE id IS NOT NULL LIMIT 10001) ended;
      ELSIF TG_OP = 'INSERT' THEN
        SELECT array_agg(id), array_agg(tenant) INTO ids, tenants
        FROM (SELECT DISTINCT %2$I::text AS id, %3$s AS tenant FROM new_rows WHERE %2$I IS NOT NULL LIMIT 10001) ended;
      ELSIF TG_OP = 'DELETE' THEN
        -- What has ended before is over for each process already.
        SELECT array_agg(id), array_agg(tenant) INTO ids, tenants
        FROM (SELECT DISTINCT %2$I::text AS id, %3$s AS tenant FROM old_rows WHERE %2$I IS NOT NULL%6$s LIMIT 10001) ended;
      ELSE
        PERFORM authjs_bridge.send(%7$L, NULL, NULL);
      END IF;
      IF ids IS NOT NULL THEN
        PERFORM authjs_bridge.send(%7$L, ids, tenants);
      END IF;
      RETURN NULL;
    EXCEPTION
      -- A column that was renamed, say. The statement itself must not fail.
      WHEN OTHERS THEN
        PERFORM authjs_bridge.send(%7$L, NULL, NULL);
        RETURN NULL;
    END $trigger$
  $make$, function, id, tenant, compared, sooner, live, kind);
  -- The function needs no arguments: they say what is watched.
  SELECT string_agg(quote_literal(argument), ', ') INTO arguments FROM unnest(ARRAY[kind, id] || columns) argument;
  FOR operation, rows IN VALUES
    ('INSERT', 'REFERENCING NEW TABLE AS new_rows'),
    ('UPDATE', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'),
    ('DELETE', 'REFERENCING OLD TABLE AS old_rows'),
    ('TRUNCATE', '')
  LOOP
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', format(trigger, lower(operation)), relation);
    -- Of a session that starts nobody knows anything.
    CONTINUE WHEN kind = 'sessions' AND operation = 'INSERT';
    EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION %s(%s)',
      format(trigger, lower(operation)), operation, relation, rows, function, arguments);
  END LOOP;
END $$;

-- Drops all triggers again, with their functions.
CREATE OR REPLACE FUNCTION authjs_bridge.unwatch() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  function regprocedure;
BEGIN
  FOR function IN SELECT oid FROM pg_proc WHERE pronamespace = 'authjs_bridge'::regnamespace AND proname ~ '^notify_' LOOP
    EXECUTE format('DROP FUNCTION %s CASCADE', function);
  END LOOP;
END $$;

-- One line for each table. Of sessions name the columns that can end one: created_at, too, with the option absoluteMaxAge. Of users
-- name those that the options userCheck and freshClaims read. Where users are a view, write a line for each table behind it, with its
-- column for the user's id and all columns that the view uses, also in its conditions. A row more or less counts, too.
SELECT authjs_bridge.watch('sessions', 'sessions', 'session_id', 'user_id', 'revoked_at');
SELECT authjs_bridge.watch('users', 'users', 'user_id', 'user_type');
