import { createSessionRoute } from 'authjs-bridge/next'
import { bridge } from '@/bridges'

export const { GET } = createSessionRoute({ bridge })
