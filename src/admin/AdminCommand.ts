import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { presenter } from "../runtime/CommandLine.ts"
import { ExitCode } from "../runtime/ExitCode.ts"
import { version } from "../runtime/Version.ts"
import { admin } from "./AdminFlags.ts"
import { processCommands } from "./ProcessCommands.ts"
import { recordCommands } from "./RecordCommands.ts"
import { roles } from "./RolesCommands.ts"
import { storeCommands } from "./StoreCommands.ts"
import { plain } from "./Table.ts"

/** The command with everything below it. */
export const root = admin.pipe(
  Command.withSubcommands([...processCommands, ...recordCommands, ...storeCommands, roles])
)

/** `node dist/admin.js`: 0 done, 1 a mistake or a fault, 2 done and not all is well. */
export const adminCommand = root.pipe(
  Command.run({ version }),
  Effect.catchTag("AdminError", ({ message }) =>
    Effect.andThen(Console.error(plain(`admin: ${message}`)), Effect.fail(new ExitCode({ code: 1 })))
  ),
  Effect.scoped,
  Effect.provide(Layer.mergeAll(NodeServices.layer, presenter("admin")))
)
