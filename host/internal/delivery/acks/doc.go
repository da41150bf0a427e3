// Package acks brings the ERP's answers home: it fetches acks from connectors,
// commits what they say, and only then lets the connector put them away.
//
// An ack goes through three steps, and whatever dies between two of them, the
// next poll starts over with the same ack and comes to the same end:
//
//	fetched    nothing has changed anywhere; it will be fetched again
//	committed  the export's row says what the ERP said; the ack is still at the
//	           target, and when it is fetched again the store calls it repeated
//	settled    the connector has moved it away
//
// What becomes of an ack that is no plain answer: one that can't be read is
// rejected. One that contradicts what was committed before changes nothing and
// is rejected. One that no export of the connection knows is rejected too, but
// not while exports of the connection are in flight: their reference may not be
// recorded yet. Rejected acks are put aside by the connector, never deleted, and
// each is in the audit log.
package acks
