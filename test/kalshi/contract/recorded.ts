/** Frames of the live exchange as people recorded them in 2026, verbatim. */
export const recorded: ReadonlyArray<string> = [
  '{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":1}}',
  '{"type":"trade","sid":2,"seq":1,"msg":{"trade_id":"072206ce-5001-aeed-d03d-1f053dfa04db","market_ticker":"KXSWISSLEAGUEGAME-26SEP16LUGSTG-LUG","yes_price_dollars":"0.9900","no_price_dollars":"0.0100","count_fp":"93.00","taker_side":"no","taker_outcome_side":"no","taker_book_side":"ask","is_block_trade":false,"ts":1789581934,"ts_ms":1789581934126}}',
  '{"type":"orderbook_delta","sid":1,"seq":5,"msg":{"market_ticker":"KXSWISSLEAGUEGAME-26SEP16LUGSTG-LUG","market_id":"95f6eefd-e1d8-48b3-8299-0612af6ef0f6","price_dollars":"0.3500","delta_fp":"-1568.00","side":"yes","ts":"2026-09-16T18:03:48.332273Z","ts_ms":1789581828332}}',
  '{"type":"market_lifecycle_v2","sid":1,"seq":279597,"msg":{"market_ticker":"KXMLBSPREAD-26JUL191605WSHATH-ATH4","determination_ts":1784501722,"result":"no","settlement_value":"0.0000","event_type":"determined"}}',
  '{"type":"market_lifecycle_v2","sid":1,"seq":274085,"msg":{"market_ticker":"KXBNB15M-26JUL191830-30","settled_ts":1784500206,"event_type":"settled"}}'
]
