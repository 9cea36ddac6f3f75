import { asks, countedAuth } from '@/asks'

export async function GET() {
  asks.count = 0
  const [first, second] = [await countedAuth(), await countedAuth()]
  return Response.json({ first: first?.session_id ?? null, second: second?.session_id ?? null, asks: asks.count })
}
