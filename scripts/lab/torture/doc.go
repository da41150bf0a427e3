// Command torture tries to make Orderport lose or double an order.
//
// It hands in orders through the API under load, kills and stops processes,
// cuts connections and fills disks at random, restarts what it killed, and
// plays a greedy ERP that consumes and deletes files the moment they appear.
// At the end it heals everything, waits until nothing is PENDING, and
// reconciles: each order that was accepted with 2xx was consumed exactly once
// (or ended FAILED with a reason and was not consumed), each export's state is
// true, no temporary file, process or socket is left.
//
// The seed decides what is done in which order; -seed replays one. Scheduling
// is the machine's, so a replay repeats the faults, not each interleaving.
package main
