// Package rules holds what is true of the whole repository, as tests: which
// package may import which and why not, that every package explains itself,
// how long a function gets, which modules there are. It has no code of its own.
//
// A rule that is in the way is either changed here, with its reason, or the
// code is; an exception to a rule is listed with why it is one, and a list entry
// that is no longer needed fails.
package rules
