// Lets a type checker see the sources of what comity.js bundles.
export * from '../../clients/js/src/viewer.js'
