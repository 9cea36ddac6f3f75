/** Stands in for a sign-in of Auth.js. */
export function GET() {
  return new Response(null, { headers: { 'Set-Cookie': 'authjs.session-token=of-the-sign-in; Path=/' } })
}
