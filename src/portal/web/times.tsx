import { useNow } from "./exchange.ts"
import { localTime, nothing, span, utc } from "./format.ts"

/** An instant in the reader's zone, UTC on hover. */
export const When = ({ time, children }: { readonly time: string; readonly children?: string }) => (
  <time dateTime={time} title={utc(time)}>
    {children ?? localTime(time)}
  </time>
)

export const WhenKnown = ({ time }: { readonly time: string | null }) =>
  time === null ? <span class="quiet">{nothing}</span> : <When time={time} />

/** How long until then, of the reader's own time; counts down. */
export const TimeLeft = ({ time }: { readonly time: string | null }) => {
  const { exchange, speed } = useNow()
  if (time === null) return <span class="quiet">{nothing}</span>
  const millis = Date.parse(time) - exchange
  return <When time={time}>{millis > 0 ? span(millis / 1000 / speed) : "closing"}</When>
}

const sources: Readonly<Record<string, string>> = { live: "live", snapshot: "snapshot" }

/** How old a quote is, and how it came. */
export const Freshness = (props: { readonly quotedAt: string | null; readonly source: string | null }) => {
  const { exchange, speed } = useNow()
  if (props.quotedAt === null) return <span class="quiet">no quote</span>
  const source = sources[props.source ?? ""]
  return (
    <span class="quiet" title={utc(props.quotedAt)}>
      {span((exchange - Date.parse(props.quotedAt)) / 1000 / speed)}
      {source !== undefined && <span class={`tag ${source}`}>{source}</span>}
    </span>
  )
}
