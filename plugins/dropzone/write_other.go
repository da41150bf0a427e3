//go:build !linux

package main

// startWriting is Linux's.
func startWriting(int) error { return nil }
