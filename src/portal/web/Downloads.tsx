import { useState } from "preact/hooks"
import type { ArchivedDay } from "../ArchiveFields.ts"
import type { ExportTable } from "../ExportApi.ts"
import { Choice, Instant, instantOf } from "./controls.tsx"
import { When } from "./times.tsx"
import { useAsk } from "./useAsk.ts"
import { useFile } from "./useFile.ts"

const formats = [
  ["csv", "CSV"],
  ["ndjson", "NDJSON"],
  ["parquet", "Parquet"]
] as const
type Format = (typeof formats)[number][0]

interface Span {
  readonly from?: string
  readonly to?: string
}

const spanOf = (from: string, to: string): Span & { readonly isEmpty: boolean } => {
  const range = { from: instantOf(from), to: instantOf(to) }
  return {
    ...(range.from === undefined ? {} : { from: range.from }),
    ...(range.to === undefined ? {} : { to: range.to }),
    isEmpty: range.from !== undefined && range.to !== undefined && range.from >= range.to
  }
}

const days = (some: ReadonlyArray<ArchivedDay>) => [...new Set(some.map(({ from }) => from.slice(0, 10)))]

/** Which days of the market are in the archive, and whether they can be read here. */
const Archived = ({ ticker }: { readonly ticker: string }) => {
  const { value } = useAsk(`archived ${ticker}`, (client) => client.market.archived({ params: { ticker }, query: {} }))
  if (value === undefined || value.days.length === 0) return null
  const first = value.days[0]!
  return (
    <div class={value.problem === null ? "quiet small" : "notice"} role={value.problem === null ? undefined : "alert"}>
      <p>
        {value.problem === null
          ? `Ticks or books of ${days(value.days).join(", ")} (UTC) left the database and are read from the archive.`
          : `Ticks or books of ${days(value.days).join(", ")} (UTC) are in the archive only, and cannot be shown or downloaded here: ${value.problem}.`}
      </p>
      <details>
        <summary>
          {value.days.length === 1 ? "1 dataset" : `${value.days.length} datasets`}, the first in the archive since{" "}
          <When time={first.since} />
        </summary>
        <ul>
          {value.days.map((day) => (
            <li key={day.dataset}>
              {day.dataset}: {day.files.join(", ")}, since <When time={day.since} />
            </li>
          ))}
        </ul>
      </details>
    </div>
  )
}

/** Files of all that is recorded of a market, or of a span of it. */
export const Downloads = ({ ticker }: { readonly ticker: string }) => {
  const [from, setFrom] = useState("")
  const [to, setTo] = useState("")
  const { isEmpty, ...range } = spanOf(from, to)
  const { ask, making, said } = useFile()
  const file = (table: string, format: Format, path: string, query: Readonly<Record<string, string>>) => ({
    name: `${table}, ${format.toUpperCase()}`,
    href: `${path}?${new URLSearchParams({ ...query, format, ...range })}`
  })
  const link = ({ href, name }: ReturnType<typeof file>, text: string, progress: Parameters<typeof ask>[1]) =>
    isEmpty ? (
      <span key={href} class="quiet">
        {text}
      </span>
    ) : (
      <a
        key={href}
        href={href}
        download
        aria-busy={making === href}
        onClick={(event) => {
          event.preventDefault()
          void ask({ href, name }, progress)
        }}
      >
        {text}
      </a>
    )
  return (
    <>
      <Archived ticker={ticker} />
      <form class="at" onSubmit={(event) => event.preventDefault()}>
        <Instant label="From" value={from} onChange={setFrom} />
        <Instant label="To" value={to} onChange={setTo} />
        <p class="quiet small" role="status">
          {isEmpty
            ? "From is not before To."
            : range.from === undefined && range.to === undefined
              ? "All of it; give a span for a part."
              : "From is in it, To is not."}
        </p>
      </form>
      <ul class="downloads">
        {(["ticks", "candles", "trades"] as const).map((table) => (
          <li key={table}>
            <span>{table}</span>
            {formats.map(([format, name]) =>
              link(
                file(table, format, `/api/markets/${encodeURIComponent(ticker)}/download/${table}`, {}),
                name,
                (client) => client.market.downloadProgress({ params: { ticker, table }, query: { ...range, format } })
              )
            )}
          </li>
        ))}
        {(["book_snapshots", "book_events"] as const).map((table) => (
          <li key={table}>
            <span>{table === "book_snapshots" ? "whole books" : "book changes"}</span>
            {link(file(table, "parquet", `/api/exports/${table}`, { market: ticker }), "Parquet", (client) =>
              client.exports.progress({
                params: { table },
                query: { ...range, market: ticker, format: "parquet" }
              })
            )}
          </li>
        ))}
        <li>
          <span>facts</span>
          <a href={`/api/markets/${encodeURIComponent(ticker)}`}>JSON</a>
        </li>
      </ul>
      <p class="small" role="status">
        {said}
      </p>
    </>
  )
}

const tables: ReadonlyArray<readonly [ExportTable, string]> = [
  ["ticks", "ticks"],
  ["candles", "candles"],
  ["trades", "trades"],
  ["book_snapshots", "whole books"],
  ["book_events", "book changes"]
]

/** One file of an event's outcomes, or of all markets of its series in a span. */
export const EventDownloads = (props: { readonly event: string; readonly series: string | null }) => {
  const [of, setOf] = useState<"event" | "series">("event")
  const [table, setTable] = useState<ExportTable>("ticks")
  const [format, setFormat] = useState<Format>("parquet")
  const [from, setFrom] = useState("")
  const [to, setTo] = useState("")
  const { ask, making, said } = useFile()
  const { isEmpty, ...range } = spanOf(from, to)
  const lacksSpan = of === "series" && (range.from === undefined || range.to === undefined)
  const query = { ...(of === "event" ? { event: props.event } : { series: props.series ?? "" }), ...range, format }
  const submit = (event: Event) => {
    event.preventDefault()
    void ask(
      {
        name: `${table} of ${of === "event" ? props.event : props.series}`,
        href: `/api/exports/${table}?${new URLSearchParams(query)}`
      },
      (client) => client.exports.progress({ params: { table }, query })
    )
  }
  return (
    <form class="at" onSubmit={submit}>
      {props.series !== null && (
        <Choice
          label="Of"
          value={of}
          options={[
            ["event", "this event"],
            ["series", `the series ${props.series}`]
          ]}
          onChange={setOf}
        />
      )}
      <Choice label="Rows" value={table} options={tables} onChange={setTable} />
      <Choice label="Format" value={format} options={formats} onChange={setFormat} />
      <Instant label="From" value={from} onChange={setFrom} />
      <Instant label="To" value={to} onChange={setTo} />
      <button type="submit" disabled={isEmpty || lacksSpan || making !== undefined}>
        Download
      </button>
      <p class="small" role="status">
        {isEmpty ? "From is not before To." : lacksSpan ? "Give From and To, at most 31 days apart." : said}
      </p>
    </form>
  )
}
