// Says what the first build does, since it takes minutes. npm runs it before `npm run build`.

import { readdirSync } from 'node:fs'

const isBuilt = readdirSync(new URL('..', import.meta.url)).some((name) => name.endsWith('.node'))
if (!isBuilt) {
  console.log(`Building the native part from its source. The first time takes about three minutes on a fast machine, most of them for
OpenSSL, in the step openssl-sys. Later builds take seconds.`)
}
