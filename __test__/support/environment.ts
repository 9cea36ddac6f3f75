import { unsetVariables } from './variables.mjs'

unsetVariables()
