import type { ComponentChildren } from "preact"
import { amount, nothing } from "./format.ts"
import { When } from "./times.tsx"

export const Fact = (props: { readonly name: string; readonly children: ComponentChildren }) => (
  <div>
    <dt>{props.name}</dt>
    <dd>{props.children}</dd>
  </div>
)

/** An instant, or nothing at all while it is not known. */
export const TimeFact = (props: { readonly name: string; readonly time: string | null }) =>
  props.time === null ? null : (
    <Fact name={props.name}>
      <When time={props.time} />
    </Fact>
  )

/** How the exchange takes its fees, and where it shows the thing itself. */
export const ExchangeFacts = (props: {
  readonly feeType: string | null
  readonly feeMultiplier: string | null
  readonly exchangeUrl: string | null
  readonly ticker: string
}) => (
  <>
    <Fact name="Fees">
      {props.feeType === null
        ? nothing
        : `${props.feeType.replaceAll("_", " ")}${props.feeMultiplier === null ? "" : ` × ${amount(props.feeMultiplier)}`}`}
    </Fact>
    {props.exchangeUrl !== null && (
      <Fact name="At the exchange">
        <a href={props.exchangeUrl} rel="noreferrer">
          {props.ticker}
        </a>
      </Fact>
    )}
  </>
)
