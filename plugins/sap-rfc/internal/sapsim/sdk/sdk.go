// Package sdk compiles a library with the functions and structs of the SAP
// NetWeaver RFC library, as far as they are publicly known, for tests. Nothing
// of SAP's is in it: behind its functions is the simulated system that package
// gateway serves.
//
// The library takes the host of its connection parameters for the name of a
// socket in its own folder.
package sdk

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

//go:embed src
var source embed.FS

// CompilerVariable names a C compiler, in the environment.
const CompilerVariable = "ORDERPORT_TEST_CC"

// Variant is a build of the library.
type Variant struct {
	// Old is a library before 7.50, without RfcCancel.
	Old bool
	// Appended makes its structs this many bytes longer, as a later patch level
	// may.
	Appended int
	// Foreign is a library without any of its functions.
	Foreign bool
	// Chatty makes it name the connection parameters, with their values, when a
	// logon fails.
	Chatty bool
	// Signals makes it handle SIGUSR2 with each logon, on whatever stack there is.
	Signals bool
	// Shifted makes it describe parameters in another layout than is published.
	Shifted bool
	// Companion makes it need libsapucum.so, from its own folder. Nameless is the
	// same with one that does not say its name, by which the system's loader
	// would know that it has it already.
	Companion, Nameless bool
	// Copy tells copies apart that are built alike.
	Copy string
}

// FileName is what the library is called.
const FileName = "libsapnwrfc.so"

// ErrNoCompiler says that the library can't be built, and what to do.
var ErrNoCompiler = errors.New("there is no C compiler: " + CompilerVariable + " is not set and none of tcc, cc, gcc and clang is there; make test installs one and sets it")

// compiler returns the program to compile C with.
func compiler() (string, error) {
	if given := os.Getenv(CompilerVariable); given != "" {
		return given, nil
	}
	for _, name := range []string{"tcc", "cc", "gcc", "clang"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoCompiler
}

// Build compiles the library into a folder and returns its file.
func Build(folder string, v Variant) (string, error) {
	cc, err := compiler()
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp("", "sdk")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	src, err := fs.Sub(source, "src")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(work, src); err != nil {
		return "", err
	}
	file := filepath.Join(folder, FileName)
	arguments := []string{"-shared", "-fPIC", "-o", file}
	if v.Old {
		arguments = append(arguments, "-DWITHOUT_CANCEL", "-DMAJOR=7200")
	}
	if v.Chatty {
		arguments = append(arguments, "-DCHATTY")
	}
	if v.Signals {
		arguments = append(arguments, "-DSIGNALS")
	}
	if v.Shifted {
		arguments = append(arguments, "-DSHIFTED")
	}
	if v.Appended > 0 {
		arguments = append(arguments, fmt.Sprintf("-DAPPENDED=%d", v.Appended))
	}
	unit := "library.c"
	if v.Foreign {
		unit = "foreign.c"
	}
	arguments = append(arguments, unit)
	if v.Companion || v.Nameless {
		if err := companion(cc, work, folder, v.Nameless); err != nil {
			return "", err
		}
		arguments = append(arguments, "-DCOMPANION", "-L"+folder, "-lsapucum")
	}
	return file, compile(cc, work, arguments)
}

// companion compiles libsapucum.so.
func companion(cc, work, folder string, nameless bool) error {
	const name = "libsapucum.so"
	arguments := []string{"-shared", "-fPIC", "-o", filepath.Join(folder, name), "companion.c"}
	if !nameless {
		arguments = append(arguments, "-Wl,-soname="+name)
	}
	return compile(cc, work, arguments)
}

func compile(cc, work string, arguments []string) error {
	cmd := exec.Command(cc, arguments...)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compile the library with %s: %w\n%s", cc, err, out)
	}
	return nil
}

// Library is Build into a folder of the test's own, with a short name: sockets
// live there. The test is skipped if there is no compiler.
func Library(tb testing.TB, v Variant) (folder string) {
	tb.Helper()
	var own Builds
	tb.Cleanup(own.Remove)
	return own.Folder(tb, v)
}

// Builds are the libraries of one test program. A process keeps every copy that
// it has loaded, so each variant is built once. The zero value is ready; Remove
// ends it.
type Builds struct {
	mu      sync.Mutex
	folders map[Variant]string // guarded by mu
}

// Folder is Library for the whole program.
func (b *Builds) Folder(tb testing.TB, v Variant) string {
	tb.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if folder := b.folders[v]; folder != "" {
		return folder
	}
	if runtime.GOOS != "linux" {
		tb.Skip("the library is built on Linux only")
	}
	if _, err := compiler(); err != nil {
		tb.Skip(err)
	}
	folder, err := os.MkdirTemp("", "rfc")
	if err != nil {
		tb.Fatal(err)
	}
	if b.folders == nil {
		b.folders = map[Variant]string{}
	}
	b.folders[v] = folder
	if _, err := Build(folder, v); err != nil {
		tb.Fatal(err)
	}
	return folder
}

// Remove removes all folders.
func (b *Builds) Remove() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, folder := range b.folders {
		_ = os.RemoveAll(folder)
	}
	b.folders = nil
}
