/** Elements, made without ever reading data as markup. */

/** @typedef {Node | string} Child */

/**
 * Make an element.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | undefined>} [attributes] those that are undefined are left out
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) made.setAttribute(name, value)
  made.append(...children)
  return made
}

/**
 * Find the element of the page that bears a data attribute.
 *
 * @param {string} name the attribute, without data-
 * @returns {HTMLElement}
 */
export const part = name => {
  const found = document.querySelector(`[data-${name}]`)
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no data-${name}`)
  return found
}

/**
 * Set an element's text, and touch nothing if it is that already.
 *
 * @param {Element} target
 * @param {string} text
 * @returns {boolean} whether it changed
 */
export const setText = (target, text) => {
  if (target.textContent === text) return false
  target.textContent = text
  return true
}

/**
 * Make a list's children exactly these, in this order, moving as few as possible.
 *
 * @param {Element} parent
 * @param {Element[]} children
 */
export const arrange = (parent, children) => {
  const wanted = new Set(children)
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove()
  children.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null)
  })
}

const FLASH_MS = 1_600

/**
 * Light an element up for a moment: it has just changed.
 *
 * @param {Element} target
 */
export const flash = target => {
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches
  const colour = getComputedStyle(document.documentElement).getPropertyValue('--flash')
  target.animate([{ backgroundColor: colour }, { backgroundColor: 'transparent' }], {
    duration: FLASH_MS,
    easing: still ? 'steps(1, end)' : 'ease-out'
  })
}

/** Steps of this angle spread over the circle of colours evenly, however many there are. */
const GOLDEN_ANGLE = 137.508
/** Nobody tells more colours apart than this; names beyond share one. */
const MAX_COLOURS = 200

/** The order in which names first appeared on the page. @type {Map<string, number>} */
const seen = new Map()

/**
 * @param {string} name
 * @returns {number} a hue that is this name's for as long as the page is open
 */
const hueOf = name => {
  if (!seen.has(name) && seen.size < MAX_COLOURS) seen.set(name, seen.size)
  return Math.round((220 + (seen.get(name) ?? MAX_COLOURS) * GOLDEN_ANGLE) % 360)
}

/**
 * Make the mark of an agent: its name, with a colour that is the same wherever the name stands.
 *
 * @param {string | null} name null where it is not known
 * @returns {HTMLElement}
 */
export const agentMark = name => {
  const mark = element('span', { class: name ? 'agent' : 'agent unknown' }, name || 'unknown')
  if (name) mark.style.setProperty('--hue', String(hueOf(name)))
  return mark
}
