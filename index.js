// What `authjs-bridge` is to those who import it. `binding.js`, made by the build, finds the native part.

let binding
try {
  binding = require('./binding.js')
} catch (cause) {
  throw require('./unavailable.js').unavailable(cause)
}

// One by one: so Node and bundlers see which names there are to import.
module.exports.AuthBridge = binding.AuthBridge
module.exports.defaultBridge = binding.defaultBridge
module.exports.explainSession = binding.explainSession
module.exports.getSession = binding.getSession
module.exports.getSessionJson = binding.getSessionJson
module.exports.versions = binding.versions
module.exports.__napiBindingTarget = binding.__napiBindingTarget
