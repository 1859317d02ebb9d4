/** One of several, from a list that opens. */
export const Choice = <A extends string>(props: {
  readonly label: string
  readonly value: A
  readonly options: ReadonlyArray<readonly [A, string]>
  readonly onChange: (value: A) => void
}) => (
  <label class="choice">
    <span>{props.label}</span>
    <select
      value={props.value}
      onChange={(event) => {
        const found = props.options.find(([value]) => value === event.currentTarget.value)
        if (found !== undefined) props.onChange(found[0])
      }}
    >
      {props.options.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  </label>
)

/** One of a few, side by side. */
export const Segments = <A extends string>(props: {
  readonly label: string
  readonly value: A
  readonly options: ReadonlyArray<readonly [A, string]>
  readonly inline?: true
  readonly onChange: (value: A) => void
}) => (
  <fieldset class={props.inline === true ? "segments inline" : "segments"}>
    <legend class="hidden">{props.label}</legend>
    {props.options.map(([value, text]) => (
      <label key={value}>
        <input type="radio" name={props.label} checked={props.value === value} onChange={() => props.onChange(value)} />
        <span>{text}</span>
      </label>
    ))}
  </fieldset>
)

export const Check = (props: {
  readonly label: string
  readonly checked: boolean
  readonly disabled?: boolean
  readonly onChange: (checked: boolean) => void
}) => (
  <label class="check">
    <input
      type="checkbox"
      checked={props.checked}
      disabled={props.disabled}
      onChange={(event) => props.onChange(event.currentTarget.checked)}
    />
    <span>{props.label}</span>
  </label>
)

/** An instant of the reader's own time; empty while none is given. */
export const Instant = (props: {
  readonly label: string
  readonly value: string
  readonly onChange: (typed: string) => void
}) => (
  <label>
    <span>{props.label}</span>
    <input
      type="datetime-local"
      step="1"
      value={props.value}
      aria-label={`${props.label}, your time`}
      onInput={(event) => props.onChange(event.currentTarget.value)}
    />
  </label>
)

/** What was typed as RFC 3339 in UTC; nothing when it is no instant. */
export const instantOf = (typed: string) => {
  const time = new Date(typed)
  return typed === "" || Number.isNaN(time.getTime()) ? undefined : time.toISOString()
}
