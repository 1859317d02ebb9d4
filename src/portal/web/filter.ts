import { maxPageSize } from "../ApiFields.ts"
import { cardSorts, closeWindows } from "../EventsApi.ts"

export const statuses = ["open", "paused", "scheduled", "closed", "settled"] as const
export type Section = "active" | "scheduled" | "closed"

/** What the lists are narrowed to; empty is no narrowing. All of it is in the address. */
export interface Filter {
  readonly search: string
  readonly categories: ReadonlyArray<string>
  readonly strikePeriod: "" | "hour" | "day"
  readonly closeWindow: "" | (typeof closeWindows)[number]
  readonly status: "" | (typeof statuses)[number]
  readonly sort: (typeof cardSorts)[number]
  readonly order: "" | "asc" | "desc"
}

export const oneOf = <A extends string>(words: ReadonlyArray<A>, text: string | null): A | "" =>
  words.find((word) => word === text) ?? ""

export const readFilter = (search: string): Filter => {
  const query = new URLSearchParams(search)
  return {
    search: query.get("q") ?? "",
    categories: query.getAll("category"),
    strikePeriod: oneOf(["hour", "day"], query.get("period")),
    closeWindow: oneOf(closeWindows, query.get("within")),
    status: oneOf(statuses, query.get("status")),
    sort: oneOf(cardSorts, query.get("sort")) || "close_time",
    order: oneOf(["asc", "desc"], query.get("order"))
  }
}

export const writeFilter = (filter: Filter): URLSearchParams => {
  const query = new URLSearchParams()
  if (filter.search !== "") query.set("q", filter.search)
  for (const category of filter.categories) query.append("category", category)
  if (filter.strikePeriod !== "") query.set("period", filter.strikePeriod)
  if (filter.closeWindow !== "") query.set("within", filter.closeWindow)
  if (filter.status !== "") query.set("status", filter.status)
  if (filter.sort !== "close_time") query.set("sort", filter.sort)
  if (filter.order !== "") query.set("order", filter.order)
  return query
}

/** How many rows of a table were open when its address was made; 0 for a page. */
export const readOpened = (search: string, section: Section) => {
  const rows = Number(new URLSearchParams(search).get(section))
  return Number.isInteger(rows) && rows > 0 ? Math.min(rows, maxPageSize) : 0
}

export const isNarrowed = (filter: Filter) =>
  filter.search !== "" ||
  filter.categories.length > 0 ||
  filter.strikePeriod !== "" ||
  filter.closeWindow !== "" ||
  filter.status !== ""
