//go:build !nolibrary

package nwrfc

import (
	"syscall"

	"github.com/ebitengine/purego"
)

func openLibrary(file string) (uintptr, error) {
	handle, err := syscall.LoadLibrary(file)
	return uintptr(handle), err
}

// bind sets target, a pointer to a func, to a function of the library.
func bind(handle uintptr, name string, target any) error {
	address, err := syscall.GetProcAddress(syscall.Handle(handle), name)
	if err != nil {
		return err
	}
	purego.RegisterFunc(target, address)
	return nil
}
