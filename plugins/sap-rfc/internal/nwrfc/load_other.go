//go:build !linux && !darwin && !windows

package nwrfc

import "errors"

var errPlatform = errors.New("there is no RFC library for this system")

func openLibrary(string) (uintptr, error) { return 0, errPlatform }

func bind(uintptr, string, any) error { return errPlatform }
