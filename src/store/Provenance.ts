/** How a row came to us; the number is the column `provenance`. */
export const provenance = { live: 0, snapshot: 1, backfill: 2, repaired: 3, replay: 4, imported: 5 } as const
export type Provenance = keyof typeof provenance
