package nwrfc

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
)

// Libraries loads each copy of the RFC library once, when it is first needed.
// A library stays loaded: it can't be taken out of a process safely. The zero
// value is ready.
type Libraries struct {
	mu     sync.Mutex
	loaded map[string]*library // guarded by mu; by file
}

// fileNames are what the library is called.
var fileNames = map[string]string{"darwin": "libsapnwrfc.dylib", "windows": "sapnwrfc.dll"}

// load returns the library in a file or folder; empty: where the system's
// loader finds it.
func (l *Libraries) load(path string) (*library, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := fileNames[runtime.GOOS]
	if name == "" {
		name = "libsapnwrfc.so"
	}
	file := path
	if path == "" {
		file = name
	} else if info, err := os.Stat(path); err != nil {
		return nil, missing("library_path %q: %v", path, err)
	} else if info.IsDir() {
		file = filepath.Join(path, name)
	}
	if lib := l.loaded[file]; lib != nil {
		return lib, nil
	}
	if err := roomForSessions(); err != nil {
		return nil, missing("prepare to load %s: %v", file, err)
	}
	if path != "" {
		preload(filepath.Dir(file))
	}
	handle, err := openLibrary(file)
	if err != nil {
		return nil, missing("load %s: %v", file, err)
	}
	tameSignals()
	lib := &library{}
	if err := lib.bind(handle); err != nil {
		return nil, missing("%s is not the SAP NetWeaver RFC library: %v", file, err)
	}
	if l.loaded == nil {
		l.loaded = make(map[string]*library)
	}
	l.loaded[file] = lib
	return lib, nil
}

// roomForSessions lifts the library's bound on the connections of a process,
// which is 100 or 200: all of the connector's connections share it.
func roomForSessions() error {
	const variable = "CPIC_MAX_CONV"
	if os.Getenv(variable) != "" {
		return nil
	}
	return os.Setenv(variable, "500")
}

func missing(format string, args ...any) error {
	e := rfc.Errorf(rfc.NoLibrary, format, args...)
	if runtime.GOOS == "linux" {
		e.Message += ": it needs glibc and its companions libsapucum.so and libicu*.so.50 beside it, for " + runtime.GOARCH +
			"; if they are there and are not found, name their folder in /etc/ld.so.conf.d and run ldconfig"
	}
	return e
}

// preload loads what the library needs from its own folder, for systems whose
// loader does not look there. What is missing shows when the library itself is
// loaded.
func preload(folder string) {
	for _, pattern := range []string{"libicudata.*", "libicuuc.*", "libicui18n.*", "libicudecnumber.*", "libsapucum.*"} {
		files, _ := filepath.Glob(filepath.Join(folder, pattern))
		for _, file := range files {
			_, _ = openLibrary(file)
		}
	}
}

// library is the functions of one loaded RFC library. Each returns a return
// code (int32) or a handle; the last parameter takes the error.
type library struct {
	getVersion func(major, minor, patch *uint32) unsafe.Pointer

	openConnection  func(params *parameter, count uint32, e *errorInfo) uintptr
	closeConnection func(h uintptr, e *errorInfo) int32
	ping            func(h uintptr, e *errorInfo) int32
	// cancel is nil in libraries before 7.50.
	cancel func(h uintptr, e *errorInfo) int32

	getFunctionDesc func(h uintptr, name *uint16, e *errorInfo) uintptr
	getParamCount   func(fd uintptr, count *uint32, e *errorInfo) int32
	getParamDesc    func(fd uintptr, index uint32, d *parameterDesc, e *errorInfo) int32
	getFieldCount   func(td uintptr, count *uint32, e *errorInfo) int32
	getFieldDesc    func(td uintptr, index uint32, d *fieldDesc, e *errorInfo) int32
	createFunction  func(fd uintptr, e *errorInfo) uintptr
	destroyFunction func(f uintptr, e *errorInfo) int32
	invoke          func(h, f uintptr, e *errorInfo) int32
	setChars        func(c uintptr, name, value *uint16, n uint32, e *errorInfo) int32
	setNum          func(c uintptr, name, value *uint16, n uint32, e *errorInfo) int32
	setString       func(c uintptr, name, value *uint16, n uint32, e *errorInfo) int32
	setDate         func(c uintptr, name, value *uint16, e *errorInfo) int32
	setTime         func(c uintptr, name, value *uint16, e *errorInfo) int32
	setInt          func(c uintptr, name *uint16, value int32, e *errorInfo) int32
	getChars        func(c uintptr, name, buffer *uint16, n uint32, e *errorInfo) int32
	getNum          func(c uintptr, name, buffer *uint16, n uint32, e *errorInfo) int32
	getString       func(c uintptr, name, buffer *uint16, n uint32, length *uint32, e *errorInfo) int32
	getStringLength func(c uintptr, name *uint16, length *uint32, e *errorInfo) int32
	getDate         func(c uintptr, name, buffer *uint16, e *errorInfo) int32
	getTime         func(c uintptr, name, buffer *uint16, e *errorInfo) int32
	getInt          func(c uintptr, name *uint16, value *int32, e *errorInfo) int32
	getStructure    func(c uintptr, name *uint16, h *uintptr, e *errorInfo) int32
	getTable        func(c uintptr, name *uint16, h *uintptr, e *errorInfo) int32
	getRowCount     func(t uintptr, count *uint32, e *errorInfo) int32
	moveTo          func(t uintptr, index uint32, e *errorInfo) int32
	getCurrentRow   func(t uintptr, e *errorInfo) uintptr
	appendNewRow    func(t uintptr, e *errorInfo) uintptr
}

// bind looks up every function.
func (l *library) bind(handle uintptr) error {
	for name, target := range map[string]any{
		"RfcGetVersion": &l.getVersion, "RfcOpenConnection": &l.openConnection, "RfcCloseConnection": &l.closeConnection,
		"RfcPing": &l.ping, "RfcGetFunctionDesc": &l.getFunctionDesc, "RfcGetParameterCount": &l.getParamCount,
		"RfcGetParameterDescByIndex": &l.getParamDesc, "RfcGetFieldCount": &l.getFieldCount,
		"RfcGetFieldDescByIndex": &l.getFieldDesc, "RfcCreateFunction": &l.createFunction,
		"RfcDestroyFunction": &l.destroyFunction, "RfcInvoke": &l.invoke,
		"RfcSetChars": &l.setChars, "RfcSetNum": &l.setNum, "RfcSetString": &l.setString,
		"RfcSetDate": &l.setDate, "RfcSetTime": &l.setTime, "RfcSetInt": &l.setInt,
		"RfcGetChars": &l.getChars, "RfcGetNum": &l.getNum, "RfcGetString": &l.getString,
		"RfcGetStringLength": &l.getStringLength, "RfcGetDate": &l.getDate, "RfcGetTime": &l.getTime, "RfcGetInt": &l.getInt,
		"RfcGetStructure": &l.getStructure, "RfcGetTable": &l.getTable, "RfcGetRowCount": &l.getRowCount,
		"RfcMoveTo": &l.moveTo, "RfcGetCurrentRow": &l.getCurrentRow, "RfcAppendNewRow": &l.appendNewRow,
	} {
		if err := bind(handle, name, target); err != nil {
			return fmt.Errorf("it lacks %s: %w", name, err)
		}
	}
	if bind(handle, "RfcCancel", &l.cancel) != nil {
		l.cancel = nil
	}
	return nil
}

// version is such as "7500.0.12", with a word about what is too old.
func (l *library) version() string {
	var major, minor, patch uint32
	l.getVersion(&major, &minor, &patch)
	text := fmt.Sprintf("%d.%d.%d", major, minor, patch)
	if l.cancel == nil {
		text += ": it is older than 7.50 and can't cancel a call that takes too long; install the newest 7.50"
	}
	return text
}
