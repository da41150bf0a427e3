//go:build !linux

package main

import "errors"

// renameNoReplace is Linux's.
func renameNoReplace(_, _ string) error { return errors.ErrUnsupported }
