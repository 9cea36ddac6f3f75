import type { NextConfig } from 'next'

const config: NextConfig = {
  serverExternalPackages: process.env.WITHOUT_LINE ? [] : ['authjs-bridge'],
  output: process.env.STANDALONE ? 'standalone' : undefined,
}

export default config
