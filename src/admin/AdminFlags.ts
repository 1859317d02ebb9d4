import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"

/** The command itself, with what all of its subcommands take. */
export const admin = Command.make("kalshi-ingestor").pipe(
  Command.withDescription(
    "Sees to running programs: over the sockets in DATA_DIR/run, over --url, or in the database of DATABASE_URL"
  ),
  Command.withSharedFlags({
    service: Flag.Literals("service", ["rest", "ws", "worker", "predictor", "portal"]).pipe(
      Flag.withDescription("only programs of this service"),
      Flag.optional
    ),
    instance: Flag.String("instance").pipe(
      Flag.withDescription("only the program whose name, as status shows it, has this in it"),
      Flag.optional
    ),
    url: Flag.String("url").pipe(
      Flag.withDescription("the program at this address, like http://host:9201, with the token of SERVICE_ADMIN_TOKEN"),
      Flag.optional
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("one line of JSON as the last of standard output"),
      Flag.withDefault(false)
    ),
    yes: Flag.Boolean("yes").pipe(Flag.withDescription("do not ask"), Flag.withDefault(false))
  })
)
