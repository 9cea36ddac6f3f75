import type { NextConfig } from 'next'

const config: NextConfig = {
  serverExternalPackages: ['authjs-bridge'],
  // Only for this repository, which has another lock file in its root; your app doesn't need this line.
  turbopack: { root: import.meta.dirname },
}

export default config
