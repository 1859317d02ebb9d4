/** How two multisets of frames differ: sent but not stored, and stored more often than sent. */
export interface Verdict {
  readonly sent: number
  readonly stored: number
  readonly lost: number
  readonly duplicated: number
}

/** Compares what an exchange says it sent with what is stored; keys are `ticker<TAB>exchange millis`. */
export const compare = (sent: ReadonlyMap<string, number>, stored: ReadonlyMap<string, number>): Verdict => {
  const sum = (counts: Iterable<number>) => [...counts].reduce((total, n) => total + n, 0)
  let lost = 0
  let duplicated = 0
  for (const key of new Set([...sent.keys(), ...stored.keys()])) {
    const difference = (sent.get(key) ?? 0) - (stored.get(key) ?? 0)
    if (difference > 0) lost += difference
    else duplicated -= difference
  }
  return { sent: sum(sent.values()), stored: sum(stored.values()), lost, duplicated }
}

/** Reads the simulator's `ticker<TAB>millis<TAB>count` lines. */
export const parseSent = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const [ticker = "", millis = "", count = "0"] = line.split("\t")
        return [`${ticker}\t${millis}`, Number(count)] as const
      })
  )
