/** The same direction with length 1, each number as a `float4` holds it; a vector without a length stays as it is. */
export const unit = (vector: ReadonlyArray<number>): ReadonlyArray<number> => {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0))
  return length > 0 && Number.isFinite(length) ? vector.map((x) => Math.fround(x / length)) : vector
}
