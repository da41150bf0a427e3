package storetest

import (
	"testing"

	"github.com/orderport/orderport/host/internal/store"
)

// Run checks everything that a store.Store promises. open returns a store on
// a new database; the suite does not close it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	topics := []struct {
		name  string
		tests map[string]func(w *World)
	}{
		{"organizations and tokens", tenantTests},
		{"audit", auditTests},
		{"connections", connectionTests},
		{"accept", acceptTests},
		{"lists", listTests},
		{"claim", claimTests},
		{"attempts", attemptTests},
		{"retry and resolve", retryTests},
		{"lost", lostTests},
		{"acks", ackTests},
		{"hosts", hostTests},
	}
	for _, topic := range topics {
		t.Run(topic.name, func(t *testing.T) {
			t.Parallel()
			for name, test := range topic.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(NewWorld(t, open(t)))
				})
			}
		})
	}
}

// RunTwice checks what two hosts that share a database must get right. open
// returns two stores on one new database.
func RunTwice(t *testing.T, open func(t *testing.T) (a, b store.Store)) {
	for name, test := range sharedTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := open(t)
			w := NewWorld(t, a)
			test(w, w.On(b))
		})
	}
}
