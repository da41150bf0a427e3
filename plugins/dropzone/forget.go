//go:build orderport_forgetful

package main

// forgetful makes a connector that saves no checkpoint and starts each attempt
// afresh. It is built for one purpose: a torture run must find the orders that
// it delivers twice, or else the run could not find any fault.
const forgetful = true
