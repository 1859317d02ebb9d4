import * as Schema from "effect/Schema"

/**
 * A mistake in what the user configured. Its message is one line that names the setting, what is wrong and what would
 * be right; it never holds a secret.
 */
export class SettingError extends Schema.TaggedError<SettingError>()("SettingError", {
  setting: Schema.String,
  problem: Schema.String,
  fix: Schema.String
}) {
  override get message(): string {
    return `${this.setting}: ${this.problem}; ${this.fix}`
  }
}
