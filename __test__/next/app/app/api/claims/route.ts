import { auth, update } from '@/sessions'

/** Sends the session before a change of claims, as the change returned it, and after it. */
export async function POST(request: Request) {
  return Response.json([await auth(), await update(await request.json()), await auth()])
}
