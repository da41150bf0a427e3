//go:build !linux

package main

import "time"

// madeAt is Linux's.
func madeAt(string) (time.Time, bool) { return time.Time{}, false }
