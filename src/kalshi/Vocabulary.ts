/**
 * The words the exchange is known to use in fields that take one of a few. None of these lists is closed: a word that is
 * missing here is kept as it came, and counted.
 */
export type Words = ReadonlySet<string>

const words = (...known: ReadonlyArray<string>): Words => new Set(known)

export const marketStatuses = words(
  "initialized",
  "inactive",
  "active",
  "closed",
  "determined",
  "disputed",
  "amended",
  "finalized"
)

export const marketTypes = words("binary", "scalar")

export const results = words("yes", "no", "scalar")

export const strikeTypes = words(
  "greater",
  "greater_or_equal",
  "less",
  "less_or_equal",
  "between",
  "functional",
  "custom",
  "structured"
)

const steps = ["whole", "half", "quint", "deci", "centi"]

export const priceLevelStructures = words(
  "linear_cent",
  "deci_cent",
  "tapered_deci_cent",
  "banded_centi_cent",
  ...steps.flatMap((center) => steps.flatMap((edge) => (edge === center ? [] : [`center_${center}_edge_${edge}_cent`])))
)

export const collateralReturnTypes = words("MECNET", "DIRECNET")

export const frequencies = words("custom", "fifteen_min", "hourly", "daily", "weekly", "monthly", "annual", "one_off")

export const feeTypes = words(
  "quadratic",
  "quadratic_with_maker_fees",
  "quadratic_with_combo_maker_fees",
  "flat",
  "margin_market_maker_program_fees"
)

export const outcomeSides = words("yes", "no")

export const bookSides = words("bid", "ask")

export const lifecycleKinds = words(
  "created",
  "activated",
  "deactivated",
  "close_date_updated",
  "determined",
  "settled",
  "price_level_structure_updated",
  "metadata_updated"
)

export const usageTiers = words("basic", "advanced", "expert", "premier", "paragon", "prime", "prestige")
