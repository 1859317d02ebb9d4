import { useEffect, useRef } from "preact/hooks"
import { cardSorts, closeWindows } from "../EventsApi.ts"
import { Choice, Segments } from "./controls.tsx"
import { type Filter, isNarrowed, statuses } from "./filter.ts"

const sortNames: Readonly<Record<(typeof cardSorts)[number], string>> = {
  close_time: "Close time",
  open_time: "Open time",
  title: "Title",
  category: "Category",
  strike_period: "Strike period",
  market_count: "Outcomes"
}

export const FilterBar = (props: {
  readonly filter: Filter
  readonly typed: string
  readonly categories: ReadonlyArray<string>
  readonly onType: (text: string) => void
  readonly onChange: (change: Partial<Filter>) => void
}) => {
  const { filter, onChange } = props
  const searchField = useRef<HTMLInputElement>(null)
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
      if (event.key !== "/" || event.ctrlKey || event.metaKey || typing) return
      event.preventDefault()
      searchField.current?.focus()
    }
    addEventListener("keydown", onKey)
    return () => removeEventListener("keydown", onKey)
  }, [])
  const toggle = (category: string) =>
    onChange({
      categories: filter.categories.includes(category)
        ? filter.categories.filter((known) => known !== category)
        : [...filter.categories, category]
    })

  return (
    <search class="filters">
      <input
        ref={searchField}
        type="search"
        aria-label="Search events"
        aria-keyshortcuts="/"
        placeholder="Search ticker, title, category or outcome"
        maxLength={200}
        value={props.typed}
        onInput={(event) => props.onType(event.currentTarget.value)}
      />
      <Segments
        label="Strike period"
        value={filter.strikePeriod}
        options={[
          ["", "All"],
          ["hour", "Hourly"],
          ["day", "Daily"]
        ]}
        onChange={(strikePeriod) => onChange({ strikePeriod })}
      />
      <Choice
        label="Close window"
        value={filter.closeWindow}
        options={[["", "Any time"] as const, ...closeWindows.map((window) => [window, `Within ${window}`] as const)]}
        onChange={(closeWindow) => onChange({ closeWindow })}
      />
      <Choice
        label="Status"
        value={filter.status}
        options={[["", "Any"] as const, ...statuses.map((status) => [status, status] as const)]}
        onChange={(status) => onChange({ status })}
      />
      <Choice
        label="Sort"
        value={filter.sort}
        options={cardSorts.map((sort) => [sort, sortNames[sort]] as const)}
        onChange={(sort) => onChange({ sort })}
      />
      <Choice
        label="Order"
        value={filter.order}
        options={[
          ["", "Usual"],
          ["asc", "Ascending"],
          ["desc", "Descending"]
        ]}
        onChange={(order) => onChange({ order })}
      />
      {props.categories.length > 0 && (
        <fieldset class="pills">
          <legend class="hidden">Category</legend>
          {props.categories.map((category) => (
            <label key={category}>
              <input type="checkbox" checked={filter.categories.includes(category)} onChange={() => toggle(category)} />
              <span>{category}</span>
            </label>
          ))}
          {isNarrowed(filter) && (
            <button
              type="button"
              class="plain clear"
              onClick={() => {
                props.onType("")
                onChange({ search: "", categories: [], strikePeriod: "", closeWindow: "", status: "" })
              }}
            >
              Clear filters
            </button>
          )}
        </fieldset>
      )}
    </search>
  )
}
