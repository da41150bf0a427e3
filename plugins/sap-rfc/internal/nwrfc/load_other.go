//go:build (!linux && !darwin && !windows) || nolibrary

package nwrfc

import "errors"

var errPlatform = errors.New("this build of the connector can't load libraries: use transport soap")

func openLibrary(string) (uintptr, error) { return 0, errPlatform }

func bind(uintptr, string, any) error { return errPlatform }
