/** Writers that overwrite 50 keys in turn and tell each other: typed, and in a plain Y.Map of Yjs. */

import { HybridClock, StateDocument } from '../clients/js/src/index.js'

// The same module that the client imports: two copies of Yjs do not know each other's types.
export const Y = await import('../clients/js/node_modules/yjs/dist/yjs.mjs')

export const KEYS = 50
/** Writes between two exchanges among writers who are apart. */
const APART = 500

/** A Yjs document whose session has an id that is the same in every run, as long as those that Yjs draws. */
const yjsDocument = number => {
  const ydoc = new Y.Doc()
  ydoc.clientID = (0x9e3779b1 * (number + 1)) >>> 0
  return ydoc
}

/** A clock that runs while it is looked at, from the middle of 2025 on, as that of overwrites.py. */
const clock = () => {
  let looks = 0
  return new HybridClock(() => 1_752_800_000_000 + looks++ / 10)
}

/** One writer's document; `told` is the update of its last transaction. */
class Replica {
  constructor(number) {
    this.ydoc = yjsDocument(number)
    this.told = null
    this.ydoc.on('update', update => {
      this.told = update
    })
  }
}

/** A map of a state document; its session has an id and a clock that are the same in every run. */
export class Typed extends Replica {
  constructor(number) {
    super(number)
    this.document = new StateDocument(this.ydoc, { agent: `agent-${number}`, clock: clock() })
  }

  write(key, value) {
    this.document.setCell('steps', key, value)
  }
}

/** A root Y.Map. */
export class Plain extends Replica {
  constructor(number) {
    super(number)
    this.steps = this.ydoc.getMap('steps')
  }

  write(key, value) {
    this.steps.set(key, value)
  }
}

export const LAYOUTS = { Comity: Typed, 'Y.Map': Plain }

/** So many writers, who go on from where they were; apart, they exchange what they wrote only now and then. */
export class Overwrites {
  constructor(Layout, writers, { apart = false } = {}) {
    this.replicas = Array.from({ length: writers }, (_, number) => new Layout(number))
    this.apart = apart
    this.written = 0
  }

  /** Overwrite until so many writes were made in all, and return the whole document as one update. */
  goOn(writes) {
    for (let write = this.written; write < writes; write++) {
      const replica = this.replicas[write % this.replicas.length]
      replica.write(`key ${write % KEYS}`, `value ${write}`)
      if (!this.apart) this.tell(replica)
      else if (write % APART === 0) exchange(this.replicas)
    }
    this.written = writes
    exchange(this.replicas)
    return Y.encodeStateAsUpdate(this.replicas[0].ydoc)
  }

  tell(replica) {
    for (const other of this.replicas) if (other !== replica) Y.applyUpdate(other.ydoc, replica.told)
  }
}

/** Bring every replica what it lacks, by way of the first. */
const exchange = ([first, ...others]) => {
  for (const other of [...others, ...others]) {
    bring(other.ydoc, first.ydoc)
    bring(first.ydoc, other.ydoc)
  }
}

const bring = (from, to) => Y.applyUpdate(to, Y.encodeStateAsUpdate(from, Y.encodeStateVector(to)))
