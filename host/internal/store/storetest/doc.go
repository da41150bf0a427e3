// Package storetest is the one behaviour suite for everything that implements
// store.Store, and makes databases for tests, also for those of other packages.
//
// A driver runs the suite with a few lines:
//
//	storetest.Run(t, func(t *testing.T) store.Store { … })
package storetest
