// Package delivery is the engine that brings exports to their ERPs, each
// exactly once or to FAILED with a reason, whatever dies at whatever moment.
//
// # States of an export
//
//	             claim: attempt n RUNNING, leased
//	PENDING ──────────────────────────────────────▶ PENDING, under way
//	   ▲                                              │
//	   │ RETRY     error that may pass: after a pause │
//	   ├──────────────────────────────────────────────┤
//	   │ DEFERRED  outage, shutdown: not counted      │
//	   ├──────────────────────────────────────────────┤
//	   │ LOST      host or connector died, resumable  │
//	   └──────────────────────────────────────────────┤
//	                                                  │ DELIVERED
//	                                                  ├──────────▶ SENT ──ack──▶ ACKED
//	                                                  │ DELIVERED, ERP answered at once
//	                                                  ├──────────▶ ACKED
//	                                                  │ FAILED, or LOST and not resumable
//	                                                  └──────────▶ FAILED
//
// The rows in the database are the only truth. An attempt is recorded before
// the connector is called, and everything that it writes is fenced by its host
// and number: once another attempt has begun, or somebody has decided
// otherwise, a late checkpoint is refused and a late result is ignored.
// docs/design/001-crash-table.md goes through all moments at which something
// can die.
//
// # Who does what
//
//   - A lane serves one connection: claims what is due, in batches, as slots get
//     free, and runs the attempts. It begins when there is work and ends some
//     seconds after there is none, so idle connections cost nothing.
//   - The sweep asks once a second which connections have work. It makes lost
//     wake-ups harmless and finds retries whose time has come. Nudge, from the
//     queue or after an order was accepted, only makes things faster.
//   - The beat keeps this host alive in the database, and takes over what dead
//     hosts have left.
//   - Attempts share commits: package groupcommit. Slots are shared among
//     lanes: package fairshare. When a target counts as down: package circuit.
//     What the ERP answers later: package acks.
//
// # Unknown outcomes
//
// An attempt that ends without the connector's word (it crashed, broke the
// contract, ran into the deadline, or its host died) may have delivered. Then
// the connector's capabilities decide. With RESUME the export runs again, and
// the connector finds out. If it is also FENCED, that is at once; otherwise not
// before the lost attempt's lease is over. Without RESUME the export ends FAILED
// with OUTCOME_UNKNOWN and a person decides, unless this host itself saw the
// attempt end, the connector is FENCED and no checkpoint was saved: then nothing
// can have been made.
package delivery
