/**
 * Paths: the names of fields, from the root of a state down.
 *
 * Source: JSON Pointer (RFC 6901), whose escapes they use; a path has no slash in front.
 */

/**
 * Return one name as it stands in a path.
 *
 * @param {string} name
 */
export const escape = name => (/[~/]/.test(name) ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name)

/**
 * Return the name that a part of a path stands for.
 *
 * @param {string} part
 */
export const unescape = part => (part.includes('~') ? part.replaceAll('~1', '/').replaceAll('~0', '~') : part)

/**
 * Return the path of the names on the way, the outermost first.
 *
 * @param {...string} names
 */
export const join = (...names) => names.map(escape).join('/')

/**
 * Return the path of a name below another path; the root's is empty.
 *
 * @param {string} parent
 * @param {string} name
 */
export const child = (parent, name) => (parent === '' ? escape(name) : `${parent}/${escape(name)}`)

/**
 * Return the names on the way of a path.
 *
 * @param {string} path
 */
export const split = path => path.split('/').map(unescape)
