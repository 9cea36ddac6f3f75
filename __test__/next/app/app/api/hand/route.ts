import { bridgeOfModule } from '@/bridges'

export async function GET(request: Request) {
  return Response.json(await bridgeOfModule.getSession(request.headers.get('cookie')))
}
