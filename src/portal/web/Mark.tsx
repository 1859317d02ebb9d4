export const Mark = () => (
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="7" class="mark-ground" />
    <path d="M6 21l6-5 4 3 10-10" class="mark-line" />
    <circle cx="26" cy="9" r="2.6" class="mark-dot" />
  </svg>
)
