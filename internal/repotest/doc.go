// Package repotest holds the tests of the repository as a whole: which
// package may import which, whether the documents are true, and the English
// of comments and messages. It has no code of its own.
package repotest
