// Command bench measures Orderport against a floor, on the machine that it
// runs on, and says which bars are met.
//
// The floor is what an integration does that is careful and simple: for each
// order by itself one durable commit and one file that is written, flushed,
// renamed and flushed into its directory, by the best of 8, 16 and 32 workers.
// Machines differ by more than any improvement, and one machine differs from
// minute to minute; so floor and product take turns in each round, and what
// counts is the ratio within a round.
//
// Beside throughput it measures processor time per order by process, latency,
// latency beside a connection that hangs, what 990 idle connections cost and
// how ten busy ones share, how soon a killed host's exports run again, memory
// with a backlog, and the start. Each figure has a bar if the design sets one.
//
// make bench runs it. BENCH_ORDERS and BENCH_ROUNDS set how many orders a
// product run has and how many rounds there are; BENCH_ONLY is a regular
// expression that picks measurements by name.
package main
