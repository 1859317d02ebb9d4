import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"

/** Exit code 0 when the program was asked to stop, 1 when it failed. */
export const exitCleanly = <E, A>(exit: Exit.Exit<A, E>, onExit: (code: number) => void): void =>
  onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
