export function Brand() {
  return (
    <span className="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M6 21c0-11 20-11 20 0M6 21h20M11 21v-6M16 21v-8M21 21v-6" />
      </svg>
      Acme Service Desk
    </span>
  )
}
