//go:build !linux || nolibrary

package nwrfc

// tameSignals does something on Linux only.
func tameSignals() {}
