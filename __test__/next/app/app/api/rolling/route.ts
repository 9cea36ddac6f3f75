import { route } from '@/sessions'

export const { GET } = route({ rolling: true })
