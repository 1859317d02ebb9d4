import { useMemo } from "preact/hooks"
import type { MarketRow } from "../PortalApi.ts"
import { amount, cents, localTime, nothing, percent, span, utc } from "./format.ts"
import type { Markets } from "./useMarkets.ts"

interface Event {
  readonly key: string
  readonly first: MarketRow
  readonly rows: ReadonlyArray<MarketRow>
}

const byEvent = (rows: ReadonlyArray<MarketRow>): ReadonlyArray<Event> => {
  const events: Array<{ key: string; first: MarketRow; rows: Array<MarketRow> }> = []
  for (const row of rows) {
    const last = events.at(-1)
    if (last !== undefined && last.first.eventTicker === row.eventTicker && last.first.closeTime === row.closeTime)
      last.rows.push(row)
    else events.push({ key: `${row.eventTicker}|${row.closeTime}|${row.ticker}`, first: row, rows: [row] })
  }
  return events
}

const Chance = ({ mid }: { readonly mid: string | null }) => (
  <td class="chance">
    {mid === null ? (
      <span class="quiet">{nothing}</span>
    ) : (
      <>
        <svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
          <rect class="bar-ground" width="100" height="6" />
          <rect class="bar-level" width={Number(mid) * 100} height="6" />
        </svg>
        <span>{percent(mid)}</span>
      </>
    )}
  </td>
)

const Result = ({ row }: { readonly row: MarketRow }) =>
  row.result === "yes" ? (
    <span class="result yes">✓ Yes</span>
  ) : row.result === "no" ? (
    <span class="result no">✕ No</span>
  ) : row.result === null ? (
    <span class="quiet">not yet</span>
  ) : (
    <span class="result">{row.result}</span>
  )

const Outcome = ({ row }: { readonly row: MarketRow }) => (
  <th scope="row" class="outcome" title={row.ticker}>
    <span>{row.yesSubTitle ?? row.title ?? row.ticker}</span>
    {row.status === "inactive" && <span class="tag">paused</span>}
  </th>
)

const ActiveRow = ({ row, now }: { readonly row: MarketRow; readonly now: number }) => (
  <tr>
    <Outcome row={row} />
    <Chance mid={row.impliedMid} />
    <td class="yes-text" key={`bid${row.yesBid}`}>
      {cents(row.yesBid)}
    </td>
    <td class="no-text" key={`ask${row.yesAsk}`}>
      {cents(row.yesAsk)}
    </td>
    <td class="wide">{cents(row.lastPrice)}</td>
    <td class="wide">{amount(row.volume)}</td>
    <td class="wide">{amount(row.openInterest)}</td>
    <td class="quiet mid" title={row.lastTickAt === null ? "no tick yet" : utc(row.lastTickAt)}>
      {row.lastTickAt === null ? nothing : span((now - Date.parse(row.lastTickAt)) / 1000)}
    </td>
  </tr>
)

const ClosedRow = ({ row }: { readonly row: MarketRow }) => (
  <tr>
    <Outcome row={row} />
    <td>
      <Result row={row} />
    </td>
    <td>{row.settlementValue === null ? nothing : `$${amount(row.settlementValue)}`}</td>
    <td class="mid">{cents(row.lastPrice)}</td>
    <td class="wide">{amount(row.volume)}</td>
    <td class="wide">{amount(row.openInterest)}</td>
    <td class="quiet">{row.status}</td>
  </tr>
)

const columns = {
  active: [
    ["Outcome", ""],
    ["Chance", ""],
    ["Yes bid", ""],
    ["Yes ask", ""],
    ["Last", "wide"],
    ["Volume", "wide"],
    ["Open interest", "wide"],
    ["Tick age", "mid"]
  ],
  closed: [
    ["Outcome", ""],
    ["Result", ""],
    ["Paid", ""],
    ["Last", "mid"],
    ["Volume", "wide"],
    ["Open interest", "wide"],
    ["Status", ""]
  ]
} as const

const Skeleton = () => (
  <div class="skeleton" aria-hidden="true">
    {Array.from({ length: 6 }, (_, i) => (
      <i key={i} />
    ))}
  </div>
)

const Empty = ({ filtered, table }: { readonly filtered: boolean; readonly table: "active" | "closed" }) => (
  <div class="empty">
    <svg viewBox="0 0 120 44" aria-hidden="true">
      <path d="M4 34 H116" class="axis" />
      <path d="M8 26 C 30 8, 44 38, 62 22 S 98 10, 112 18" class="trace" />
    </svg>
    <p>
      {filtered
        ? "No market fits this search."
        : table === "active"
          ? "No market trades now. They appear here as soon as discovery finds them."
          : "No market has closed yet."}
    </p>
  </div>
)

export const MarketTable = (props: {
  readonly table: "active" | "closed"
  readonly title: string
  readonly total: string
  readonly markets: Markets
  readonly filtered: boolean
  /** The exchange's clock, epoch milliseconds. */
  readonly now: number
  /** Seconds of exchange time per second of ours. */
  readonly speed: number
}) => {
  const { markets, now, speed, table } = props
  const events = useMemo(() => byEvent(markets.rows), [markets.rows])
  return (
    <section aria-labelledby={`${table}-title`} aria-busy={markets.state === "loading"}>
      <h2 id={`${table}-title`}>
        {props.title} <span class="quiet">{props.total}</span>
      </h2>
      {markets.state === "failed" && (
        <div class="notice" role="alert">
          <p>These markets could not be read{markets.rows.length > 0 ? "; what is shown may be old" : ""}.</p>
          <button type="button" onClick={markets.reload}>
            Try again
          </button>
        </div>
      )}
      {markets.state === "loading" && <Skeleton />}
      {markets.state === "ready" && markets.rows.length === 0 && <Empty filtered={props.filtered} table={table} />}
      {markets.rows.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                {columns[table].map(([name, width]) => (
                  <th key={name} scope="col" class={width}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            {events.map(({ key, first, rows }) => (
              <tbody key={key}>
                <tr class="event">
                  <th colSpan={columns[table].length} scope="rowgroup">
                    <span class="event-title">{first.eventTitle ?? first.eventTicker ?? first.title}</span>
                    <span class="event-facts">
                      {first.strikePeriod !== null && (
                        <span>
                          {first.strikePeriod === "hour"
                            ? "hourly"
                            : first.strikePeriod === "day"
                              ? "daily"
                              : first.strikePeriod}
                        </span>
                      )}
                      {first.closeTime !== null && (
                        <time dateTime={first.closeTime} title={utc(first.closeTime)}>
                          {table === "active"
                            ? Date.parse(first.closeTime) > now
                              ? `closes in ${span((Date.parse(first.closeTime) - now) / 1000 / speed)}`
                              : "closing"
                            : `closed ${localTime(first.closeTime)}`}
                        </time>
                      )}
                    </span>
                  </th>
                </tr>
                {rows.map((row) =>
                  table === "active" ? (
                    <ActiveRow key={row.ticker} row={row} now={now} />
                  ) : (
                    <ClosedRow key={row.ticker} row={row} />
                  )
                )}
              </tbody>
            ))}
          </table>
        </div>
      )}
      {markets.next !== null && (
        <button type="button" class="more" onClick={markets.more}>
          Show more
        </button>
      )}
    </section>
  )
}
