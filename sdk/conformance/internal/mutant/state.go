package main

import "sync"

// state is what a broken connector remembers from call to call; the sound one
// remembers nothing.
type state struct {
	mu sync.Mutex
}
