import { setCookies } from '@/sessions'

export async function POST(request: Request) {
  await setCookies(await request.json())
  return new Response()
}
