// Package settings gathers what an operator can set: flags, then environment
// variables, then a YAML file, then defaults; the first that has a value wins.
//
// The tags of [Settings] are the one description of every setting: its name,
// where it comes from, its default and its bounds. Flags, checks and the table
// in docs/operators/settings.md are made of them.
//
// A secret is never a flag, because other users of the machine can read
// command lines, and never stands in the YAML file itself: there it is
// "file:PATH" or "env:NAME".
package settings
