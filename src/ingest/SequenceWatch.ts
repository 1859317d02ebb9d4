const number = (raw: string, key: string): number | undefined => {
  const at = raw.indexOf(key)
  if (at < 0) return undefined
  let value = 0
  let index = at + key.length
  for (; index < raw.length; index++) {
    const digit = raw.charCodeAt(index) - 48
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  return index === at + key.length ? undefined : value
}

/** The subscription and the number that a frame says it has, without decoding it. */
export const placeOf = (raw: string): { readonly sid: number; readonly seq: number } | undefined => {
  const head = raw.length > 160 ? raw.slice(0, 160) : raw
  const sid = number(head, '"sid":')
  const seq = number(head, '"seq":')
  return sid === undefined || seq === undefined ? undefined : { sid, seq }
}

/**
 * Hears, without decoding, whether frames of a subscription are missing, so that what they would have said can be asked for at once.
 * The ledger of gaps does not depend on it. Belongs to one connection.
 */
export class SequenceWatch {
  readonly #last = new Map<number, number>()

  /** The subscription whose frames just before this one are missing. */
  missingBefore(raw: string): number | undefined {
    if (raw.startsWith('{"type":"ticker"')) return undefined
    const place = placeOf(raw)
    if (place === undefined) return undefined
    const { seq, sid } = place
    const last = this.#last.get(sid)
    if (last !== undefined && seq <= last && seq !== 1) return undefined
    this.#last.set(sid, seq)
    return last !== undefined && seq > last + 1 ? sid : undefined
  }
}
