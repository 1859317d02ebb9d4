/** A text search for beginnings of words, all of which must occur; null when the text has no word. */
export const searchQuery = (text: string | undefined): string | null => {
  const words = (text ?? "").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
  return words.length === 0
    ? null
    : words
        .slice(0, 12)
        .map((word) => `${word}:*`)
        .join(" & ")
}
