-- A tenant with two users: one of its own staff, and one of its client portal. Their passwords are
-- `analytical-engine` and `nanoseconds`, hashed by lib/passwords.ts.

INSERT INTO tenants (tenant, slug, plan, addons) VALUES
  ('0b9fa1c2-6f0e-4d3c-9a55-1f6e0c1d2a01', 'acme', 'premium', '{backup,reports}')
  ON CONFLICT DO NOTHING;

INSERT INTO contacts (tenant, contact_id, client_id) VALUES
  ('0b9fa1c2-6f0e-4d3c-9a55-1f6e0c1d2a01', '5e0c7d34-88b1-4c1f-8d6e-2b7a90c4e301', 'c1a4b7e9-3d52-4f86-a0b3-9e8d7c6f5a01')
  ON CONFLICT DO NOTHING;

INSERT INTO users (tenant, user_id, user_type, username, email, first_name, last_name, contact_id) VALUES
  ('0b9fa1c2-6f0e-4d3c-9a55-1f6e0c1d2a01', '7a3d5b1e-2c4f-4e6a-8b9c-0d1e2f3a4b01', 'internal', 'ada',
   'ada@acme.example', 'Ada', 'Lovelace', NULL),
  ('0b9fa1c2-6f0e-4d3c-9a55-1f6e0c1d2a01', '9c8b7a6d-5e4f-4a3b-9c2d-1e0f9a8b7c01', 'client', 'grace',
   'grace@client.example', 'Grace', 'Hopper', '5e0c7d34-88b1-4c1f-8d6e-2b7a90c4e301')
  ON CONFLICT DO NOTHING;

INSERT INTO passwords (tenant, user_id, hash) VALUES
  ('0b9fa1c2-6f0e-4d3c-9a55-1f6e0c1d2a01', '7a3d5b1e-2c4f-4e6a-8b9c-0d1e2f3a4b01',
   'LV2_a5xLGlTUX_6RJkswwQ.fDwjqmTgz81e4-gK6kRg9mTXRkSRytRPNZ4JJxR-Bsc'),
  ('0b9fa1c2-6f0e-4d3c-9a55-1f6e0c1d2a01', '9c8b7a6d-5e4f-4a3b-9c2d-1e0f9a8b7c01',
   'jYXtjFm9p_h0r6Cl6Ot0tg.kaX8mD_EL2Oqep-EI0nbFI1d4QuNt1yZ1cllWpNNUiE')
  ON CONFLICT DO NOTHING;
