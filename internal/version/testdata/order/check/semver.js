// Prints the pairs "A OP B" with which Node's semver disagrees.
const semver = require('semver')

for (const line of require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const [a, op, b] = line.split(' ')
  if (semver.compare(a, b) !== { '<': -1, '=': 0 }[op]) console.log(line)
}
