import { bridge } from '@/sessions'

export async function GET(request: Request) {
  return Response.json(await bridge.getSession(request.headers.get('cookie')))
}
