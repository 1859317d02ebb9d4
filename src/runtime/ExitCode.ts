import * as Schema from "effect/Schema"

/** Ends a program with this code and without a word: what there is to say was said. */
export class ExitCode extends Schema.TaggedError<ExitCode>()("ExitCode", { code: Schema.Int }) {}
