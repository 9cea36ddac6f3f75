// The environment variables that this package and Auth.js read.

export const OWN_VARIABLES = /^(AUTH_|NEXTAUTH_|PG|DATABASE_URL$|NODE_ENV$)/

/** Unsets them, so that tests don't depend on the caller's shell. */
export function unsetVariables() {
  for (const name of Object.keys(process.env)) {
    if (OWN_VARIABLES.test(name)) delete process.env[name]
  }
}
