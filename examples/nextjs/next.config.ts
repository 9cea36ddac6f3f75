import type { NextConfig } from 'next'

const config: NextConfig = {
  serverExternalPackages: ['authjs-bridge'],
  // The repository around this app has a lock file as well; an app of your own needs no such line.
  turbopack: { root: import.meta.dirname },
}

export default config
