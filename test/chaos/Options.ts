/** `--name value` or `--name=value`. */
export const textOption = (args: ReadonlyArray<string>, name: string): string | undefined => {
  const at = args.findIndex((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`))
  if (at < 0) return undefined
  return args[at]!.includes("=") ? args[at]!.slice(name.length + 3) : args[at + 1]
}

/** The option's number; a text that is none is an error of the caller. */
export const numberOption = (args: ReadonlyArray<string>, name: string, usual: number): number => {
  const text = textOption(args, name)
  const value = text === undefined ? usual : Number(text)
  if (!Number.isFinite(value) || value < 0 || text === "")
    throw new Error(`--${name} ${text}: a number from 0 on, e.g. --${name} ${usual}`)
  return value
}
