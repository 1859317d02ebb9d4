export { untilDatabaseAnswers } from "../store/Retry.ts"
