/** Most characters of a piece. */
export const longestPiece = 1500

/**
 * A text cut into pieces at headings, paragraphs, then sentences, then words, and in the last resort anywhere. Nothing but white space
 * between pieces is lost; the same text always gives the same pieces.
 */
export const chunks = (text: string, longest = longestPiece): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  let open = ""
  const close = () => {
    const piece = open.trim()
    if (piece !== "") pieces.push(piece)
    open = ""
  }
  for (const block of blocksOf(text.replaceAll("\r\n", "\n"))) {
    if (/^#{1,6} /.test(block) && open.length > longest / 3) close()
    for (const part of split(block, longest)) {
      if (open !== "" && open.length + 2 + part.length > longest) close()
      open = open === "" ? part : `${open}\n\n${part}`
    }
  }
  close()
  return pieces
}

const blocksOf = (text: string) =>
  text
    .split(/\n\s*\n/)
    .map((block) => block.trim())
    .filter((block) => block !== "")

const split = (block: string, longest: number): ReadonlyArray<string> => {
  if (block.length <= longest) return [block]
  const parts: Array<string> = []
  let rest = block
  while (rest.length > longest) {
    const cut = cutOf(rest, longest)
    parts.push(rest.slice(0, cut).trimEnd())
    rest = rest.slice(cut).trimStart()
  }
  if (rest !== "") parts.push(rest)
  return parts
}

/** Where to cut: after a sentence, at a white space, or anywhere but within a character. */
const cutOf = (text: string, longest: number): number => {
  const head = text.slice(0, longest)
  const sentence = Math.max(
    head.lastIndexOf(". "),
    head.lastIndexOf("! "),
    head.lastIndexOf("? "),
    head.lastIndexOf("\n")
  )
  if (sentence > longest / 2) return sentence + 1
  const space = head.search(/\s\S*$/)
  if (space > 0) return space
  const high = text.charCodeAt(longest - 1)
  return high >= 0xd800 && high <= 0xdbff && longest > 1 ? longest - 1 : longest
}
