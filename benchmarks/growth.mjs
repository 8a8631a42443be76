/**
 * The bytes and the memory of documents against what was overwritten in them; `benchmarks.growth` runs this in Node.
 *
 * Its one argument is JSON: `writes` and `writers` are lists, `replicas` how many are held at once. What it writes is
 * JSON, too: for each layout, number of writers and number of overwrites the bytes of the document and the memory.
 */

import { LAYOUTS, Overwrites } from './overwrites.mjs'

const { writes, writers, replicas } = JSON.parse(process.argv[2])

const inUse = () => {
  for (let round = 0; round < 3; round++) global.gc() // what one finds to be garbage, the next one frees
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** The replicas that are being weighed; from here, so that they are not collected before the scales are read. */
let groups = []

const points = []
for (const [layout, Layout] of Object.entries(LAYOUTS)) {
  for (const number of writers) {
    groups = []
    new Overwrites(Layout, number).goOn(1)
    const before = inUse()
    groups = Array.from({ length: replicas / number }, () => new Overwrites(Layout, number))
    for (const count of writes) {
      const [size] = groups.map(group => group.goOn(count).length)
      points.push([layout, number, count, size, (inUse() - before) / replicas])
    }
  }
}
console.log(JSON.stringify(points))
