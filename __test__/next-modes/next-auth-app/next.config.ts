import type { NextConfig } from 'next'

const config: NextConfig = { serverExternalPackages: ['authjs-bridge'] }

export default config
