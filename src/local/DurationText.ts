import * as Duration from "effect/Duration"

const units = { s: 1_000, m: 60_000, h: 3_600_000 } as const

/** `30s`, `10m`, `2h`; nothing for any other text. */
export const parse = (text: string): Duration.Duration | undefined => {
  const match = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text)
  return match === null ? undefined : Duration.millis(Number(match[1]) * units[match[2] as keyof typeof units])
}
