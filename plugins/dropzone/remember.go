//go:build !orderport_forgetful

package main

// forgetful is false in every connector that is shipped. See forget.go.
const forgetful = false
