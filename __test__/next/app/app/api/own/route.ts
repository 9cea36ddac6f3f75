import { createSessions } from 'authjs-bridge/next'
import { bridge } from '@/bridges'

export const { GET } = createSessions({ bridge }).route()
