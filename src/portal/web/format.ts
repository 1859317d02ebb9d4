const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 })
const shortTime = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit"
})
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" })

export const nothing = "–"

export const count = (value: number) => whole.format(value)

/** A stored decimal as it is, without zeros that say nothing, thousands apart; exact. */
export const amount = (value: string | null) => {
  if (value === null) return nothing
  const [units = "", fraction = ""] = value.split(".")
  const kept = fraction.replace(/0+$/, "")
  return units.replace(/\B(?=(\d{3})+$)/g, ",") + (kept === "" ? "" : `.${kept}`)
}

/** Dollars below one, as cents: 0.4700 → 47¢, 0.475 → 47.5¢. Moves the point in the text; exact. */
export const cents = (dollars: string | null) => {
  if (dollars === null) return nothing
  const [units = "0", fraction = ""] = dollars.split(".")
  const digits = fraction.padEnd(2, "0")
  const left = `${units}${digits.slice(0, 2)}`.replace(/^0+(?=\d)/, "")
  const right = digits.slice(2).replace(/0+$/, "")
  return `${left}${right === "" ? "" : `.${right}`}¢`
}

/** A probability to a tenth of a per cent; what it is exactly is said elsewhere. */
export const chance = (probability: string) => `${(Number(probability) * 100).toFixed(1)}%`

export const percent = (probability: string | null) => cents(probability).replace("¢", "%")

export const utc = (time: string) => `${time.slice(0, 19).replace("T", " ")} UTC`
export const localTime = (time: string) => shortTime.format(new Date(time))
export const clockTime = (millis: number) => clock.format(new Date(millis))

/** How often something happens: 45 s, 2 min. */
export const every = (seconds: number) => (seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`)

/** 42 s, 5 min, 3 h 12, 2 d 4 h. */
export const span = (seconds: number) => {
  const s = Math.max(0, Math.floor(seconds))
  if (s < 60) return `${s} s`
  if (s < 600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, "0")}`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}`
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`
}

const wholeTime = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit"
})
export const exactTime = (time: string) => wholeTime.format(new Date(time))

/** A signed number of dollars or shares as cents: +4.5¢, −2¢. */
export const signedCents = (dollars: string) =>
  dollars.startsWith("-") ? `−${cents(dollars.slice(1))}` : `+${cents(dollars)}`

/** Dollars with two decimals at least; exact. */
export const money = (dollars: string | null) => {
  if (dollars === null) return nothing
  const [sign, rest] = dollars.startsWith("-") ? ["−", dollars.slice(1)] : ["", dollars]
  const [units = "0", fraction = ""] = rest.split(".")
  return `${sign}$${amount(units)}.${fraction.replace(/0+$/, "").padEnd(2, "0")}`
}

export const bytes = (size: number) => {
  const units = ["B", "kB", "MB", "GB", "TB"]
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, size)) / 3)))
  return `${(size / 1000 ** power).toPrecision(3)} ${units[power]}`
}

export const periodWord = (period: string | null) =>
  period === "hour" ? "Hourly" : period === "day" ? "Daily" : (period ?? "")
