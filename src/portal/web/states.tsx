import type { ComponentChildren } from "preact"
import type { Asked } from "./useAsk.ts"

export const Skeleton = ({ rows = 6 }: { readonly rows?: number }) => (
  <div class="skeleton" aria-hidden="true">
    {Array.from({ length: rows }, (_, i) => (
      <i key={i} />
    ))}
  </div>
)

/** A flat line that nothing has happened on yet. */
export const Empty = ({ children }: { readonly children: ComponentChildren }) => (
  <div class="empty">
    <svg viewBox="0 0 120 44" aria-hidden="true">
      <path d="M4 34 H116" class="axis" />
      <path d="M8 26 C 30 8, 44 38, 62 22 S 98 10, 112 18" class="trace" />
    </svg>
    <p>{children}</p>
  </div>
)

/** Nothing here, where that is no news. */
export const None = ({ children }: { readonly children: ComponentChildren }) => <p class="quiet none">{children}</p>

export const Failed = (props: {
  readonly onRetry: () => void
  readonly stale?: boolean
  readonly problem?: string | undefined
}) => (
  <div class="notice" role="alert">
    <p>
      This could not be read{props.problem === undefined ? "" : `: ${props.problem}`}
      {props.stale === true ? "; what is shown may be old" : ""}.
    </p>
    <button type="button" onClick={props.onRetry}>
      Try again
    </button>
  </div>
)

/** An answer of the API in whichever of its states it is. */
export const Shown = <A,>(props: {
  readonly asked: Asked<A>
  readonly rows?: number
  readonly children: (value: A) => ComponentChildren
}) => {
  const { asked } = props
  return (
    <>
      {asked.state === "failed" && (
        <Failed onRetry={asked.reload} stale={asked.value !== undefined} problem={asked.problem} />
      )}
      {asked.state === "loading" && asked.value === undefined && <Skeleton rows={props.rows ?? 6} />}
      {asked.value !== undefined && props.children(asked.value)}
    </>
  )
}

export const Missing = ({ what, ticker }: { readonly what: string; readonly ticker: string }) => (
  <Empty>
    No {what} called <strong>{ticker}</strong> is recorded here.
  </Empty>
)

export const Section = (props: {
  readonly id: string
  readonly title: string
  readonly note?: ComponentChildren
  readonly children: ComponentChildren
}) => (
  <section aria-labelledby={`${props.id}-title`}>
    <h2 id={`${props.id}-title`}>
      {props.title} <span class="quiet">{props.note}</span>
    </h2>
    {props.children}
  </section>
)

export const Figure = (props: {
  readonly label: string
  readonly value: ComponentChildren
  readonly alarm?: boolean
  readonly title?: string | undefined
}) => (
  <div class={props.alarm === true ? "figure alarm" : "figure"} title={props.title}>
    <dt>{props.label}</dt>
    <dd>{props.value}</dd>
  </div>
)
