// Package queue decides when a connection is looked at, and nothing else. It
// is riverqueue/river behind an interface of ours, in the same database as the
// exports.
//
// There is one kind of job: "look again at connection X". It is inserted in
// the transaction that made work for that connection (an accepted order, a
// retry, an enabled connection), so that the job exists if and only if the
// work does. Any host may fetch it; its worker tells the delivery engine and
// is done. What is to be delivered, by whom and how often is in the export
// rows alone.
//
// So a job that runs twice, late or never does no harm: a look at a connection
// without work ends at once, and the engine looks for due connections by
// itself every second or so. Jobs need no uniqueness, no retry policy worth
// the name, and no rescue that is quick.
//
// Two halves, because they live in different places: a Waker inserts, and is
// all that the command line needs; a Queue fetches, in a running host.
package queue
