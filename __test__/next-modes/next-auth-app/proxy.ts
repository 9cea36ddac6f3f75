export { proxy } from '@/sessions'

export const config = { matcher: '/devices' }
