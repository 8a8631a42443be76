/** Who is here: a chip for every agent, and one for all open pages together. */

import { agentMark, arrange, element, part } from './dom.js'
import { cut } from './format.js'

/** More agents than this are counted, and not shown. */
const MAX_CHIPS = 24
const MAX_NAME = 40
/** What pages like this one announce as their kind. */
export const PAGE = 'page'

/**
 * Show who is present.
 *
 * @param {Map<number, Record<string, any>>} states awareness, by client id
 */
export const showPresence = states => {
  const { agents, pages } = counted(states)
  const names = [...agents.keys()].sort()
  const chips = names.slice(0, MAX_CHIPS).map(name => chip(name, agents.get(name) ?? 1))
  if (names.length > MAX_CHIPS) chips.push(plainChip(`and ${names.length - MAX_CHIPS} more`))
  if (pages > 0) chips.push(plainChip(pages === 1 ? 'this page' : `${pages} pages`))
  arrange(part('presence'), chips)
}

/** @param {Map<number, Record<string, any>>} states */
const counted = states => {
  /** @type {Map<string, number>} */
  const agents = new Map()
  let pages = 0
  for (const state of states.values()) {
    const name = nameIn(state)
    if (state.kind === PAGE) pages++
    else agents.set(name, (agents.get(name) ?? 0) + 1)
  }
  return { agents, pages }
}

/**
 * Return the name that a presence goes by: ours is "agent"; Yjs editors have theirs in "user".
 *
 * @param {Record<string, any> | undefined} state
 * @returns {string} "" if it bears none
 */
export const nameIn = state => {
  const name = state?.agent ?? state?.user?.name ?? state?.name
  return typeof name === 'string' ? cut(name, MAX_NAME) : ''
}

/**
 * @param {string} name
 * @param {number} sessions
 */
const chip = (name, sessions) => {
  const times = sessions > 1 ? [element('span', { class: 'quiet' }, ` ×${sessions}`)] : []
  return element('li', { 'data-agent': name }, agentMark(name), ...times)
}

/** @param {string} text */
const plainChip = text => element('li', { class: 'quiet' }, text)
