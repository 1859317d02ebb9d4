import { render } from "preact"
import { App } from "./App.tsx"
import "./style/base.css"
import "./style/shell.css"
import "./style/lists.css"
import "./style/states.css"
import "./style/pieces.css"
import "./style/pages.css"
import "./style/market.css"
import "./style/coverage.css"
import "./style/login.css"
import "./style/narrow.css"

render(<App />, document.getElementById("app")!)
