//go:build (linux || darwin) && !nolibrary

package nwrfc

import "github.com/ebitengine/purego"

// openLibrary keeps a library's symbols to itself: connections may use
// different copies.
func openLibrary(file string) (uintptr, error) {
	return purego.Dlopen(file, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

// bind sets target, a pointer to a func, to a function of the library.
func bind(handle uintptr, name string, target any) error {
	address, err := purego.Dlsym(handle, name)
	if err != nil {
		return err
	}
	purego.RegisterFunc(target, address)
	return nil
}
