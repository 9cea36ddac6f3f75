import { forgetVariables } from './variables.mjs'

forgetVariables()
