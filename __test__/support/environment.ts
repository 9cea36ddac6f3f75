// What the caller's shell sets must not decide a test.

for (const name of Object.keys(process.env)) {
  if (/^(AUTH_|NEXTAUTH_|PG|DATABASE_URL$|NODE_ENV$)/.test(name)) delete process.env[name]
}
