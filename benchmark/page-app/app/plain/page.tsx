export const dynamic = 'force-dynamic'

export default function Page() {
  return <h1>Hello Ada</h1>
}
