import { getSession } from 'authjs-bridge'

export async function GET(request: Request) {
  return Response.json(await getSession(request.headers.get('cookie')))
}
