import { hash } from "./Random.ts"

/** Opaque positions, good only with the filters they were given for. */
const filtersOf = (query: URLSearchParams): number =>
  hash(
    [...query]
      .filter(([name]) => name !== "cursor" && name !== "limit")
      .map(([name, value]) => `${name}=${value}`)
      .sort()
      .join("&")
  )

export const encodeCursor = (query: URLSearchParams, position: ReadonlyArray<string | number>): string =>
  Buffer.from(JSON.stringify([filtersOf(query), ...position]))
    .toString("base64")
    .replaceAll("=", "")

/** The position, or undefined for a cursor that is not ours or belongs to other filters. */
export const decodeCursor = (query: URLSearchParams, cursor: string): ReadonlyArray<unknown> | undefined => {
  const text = Buffer.from(cursor, "base64").toString("utf8")
  if (!/^\[\d+(,("[^"\\]*"|-?\d+))*\]$/.test(text)) return undefined
  const [filters, ...position]: Array<unknown> = JSON.parse(text)
  return filters === filtersOf(query) ? position : undefined
}
