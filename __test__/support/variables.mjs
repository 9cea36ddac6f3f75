// The variables that this package and Auth.js read.

export const OURS = /^(AUTH_|NEXTAUTH_|PG|DATABASE_URL$|NODE_ENV$)/

/** What the caller's shell sets must not decide a test. */
export function forgetVariables() {
  for (const name of Object.keys(process.env)) {
    if (OURS.test(name)) delete process.env[name]
  }
}
