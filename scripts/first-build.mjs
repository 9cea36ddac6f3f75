// Says what the first build does, since it takes minutes. npm runs this before `npm run build`.

import { readdirSync } from 'node:fs'

const isBuilt = readdirSync(new URL('..', import.meta.url)).some((name) => name.endsWith('.node'))
if (!isBuilt) {
  console.log(`
Building the native part from its source. The first time takes some minutes; OpenSSL alone takes two and a half on two cores.
That is when cargo shows "openssl-sys(build)". Later builds take a minute or two.
`)
}
