package nwrfc

import (
	"encoding/binary"
	"slices"
	"testing"
	"unicode/utf16"
	"unsafe"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/rfc"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim/sdk"
)

// The offsets are written down here a second time, from published descriptions
// and not from the declarations, so that a slip in those shows.
func TestStructsAreLaidOutAsPublished(t *testing.T) {
	t.Parallel()
	var e errorInfo
	var p parameterDesc
	var f fieldDesc
	for name, c := range map[string]struct{ got, want uintptr }{
		"RFC_CONNECTION_PARAMETER":          {unsafe.Sizeof(parameter{}), 16},
		"RFC_ERROR_INFO.group":              {unsafe.Offsetof(e.group), 4},
		"RFC_ERROR_INFO.key":                {unsafe.Offsetof(e.key), 8},
		"RFC_ERROR_INFO.message":            {unsafe.Offsetof(e.message), 264},
		"RFC_ERROR_INFO.abapMsgClass":       {unsafe.Offsetof(e.class), 1288},
		"RFC_ERROR_INFO.abapMsgNumber":      {unsafe.Offsetof(e.number), 1334},
		"RFC_PARAMETER_DESC.type":           {unsafe.Offsetof(p.typ), 64},
		"RFC_PARAMETER_DESC.direction":      {unsafe.Offsetof(p.direction), 68},
		"RFC_PARAMETER_DESC.nucLength":      {unsafe.Offsetof(p.nucLength), 72},
		"RFC_PARAMETER_DESC.ucLength":       {unsafe.Offsetof(p.ucLength), 76},
		"RFC_PARAMETER_DESC.decimals":       {unsafe.Offsetof(p.decimals), 80},
		"RFC_PARAMETER_DESC.typeDescHandle": {unsafe.Offsetof(p.typeDesc), 88},
		"RFC_PARAMETER_DESC.optional":       {unsafe.Offsetof(p.optional), 318},
		"RFC_FIELD_DESC.type":               {unsafe.Offsetof(f.typ), 64},
		"RFC_FIELD_DESC.nucLength":          {unsafe.Offsetof(f.nucLength), 68},
		"RFC_FIELD_DESC.ucLength":           {unsafe.Offsetof(f.ucLength), 76},
		"RFC_FIELD_DESC.decimals":           {unsafe.Offsetof(f.decimals), 84},
	} {
		if c.got != c.want {
			t.Errorf("%s is at %d, want %d", name, c.got, c.want)
		}
	}
	for name, size := range map[string][2]uintptr{
		"RFC_ERROR_INFO": {unsafe.Sizeof(e), 1752}, "RFC_PARAMETER_DESC": {unsafe.Sizeof(p), 328}, "RFC_FIELD_DESC": {unsafe.Sizeof(f), 104},
	} {
		if size[0] < size[1]+256 {
			t.Errorf("%s has %d bytes, %d too few to be safe from new members", name, size[0], size[1]+256-size[0])
		}
	}
}

// units reads a text at an offset of a raw struct.
func units(raw []byte, at, n int) string {
	list := make([]uint16, n)
	for i := range list {
		list[i] = binary.LittleEndian.Uint16(raw[at+2*i:])
	}
	if end := slices.Index(list, 0); end >= 0 {
		list = list[:end]
	}
	return string(utf16.Decode(list))
}

// The test library writes structs where they are published to be, byte by
// byte: it is compiled C, and no declaration of the connector's is involved.
func TestTheTestLibraryKeepsToTheLayout(t *testing.T) {
	t.Parallel()
	n := newNaive(t, sapsim.Options{Own: []sapsim.Own{echo()}}, sdk.Variant{})
	h := n.open()
	n.lab.system.Inject(sapsim.Fault{Function: "ECHO", Nth: 1, Trouble: sapsim.Fail, Failure: &sapsim.Failure{
		Kind: sapsim.Exception, Key: "NO_GO", Message: "does not go", ID: "SR", Type: "E", Number: "006", Variables: [4]string{"one", "two", "three", "four"},
	}})
	if _, rc := n.call(h, rfc.Call{Function: "ECHO"}); rc != rcException {
		t.Fatalf("rc %d", rc)
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&n.e)), 1752)
	if code, group := raw[0], raw[4]; code != 5 || group != 1 {
		t.Errorf("code %d, group %d", code, group)
	}
	for _, c := range []struct {
		at, n int
		want  string
	}{
		{8, 128, "NO_GO"},
		{264, 512, "does not go"},
		{1288, 21, "SR"},
		{1330, 2, "E"},
		{1334, 4, "006"},
		{1342, 51, "one"},
		{1444, 51, "two"},
		{1546, 51, "three"},
		{1648, 51, "four"},
	} {
		if got := units(raw, c.at, c.n); got != c.want {
			t.Errorf("at %d: %q, want %q", c.at, got, c.want)
		}
	}
	n.attributes(h)
	n.lib.closeConnection(h, &n.e)
}

// attributes checks RFC_ATTRIBUTES: 1118 bytes, texts only.
func (n *naive) attributes(h uintptr) {
	n.t.Helper()
	var get func(h uintptr, a *byte, e *errorInfo) int32
	n.bind("RfcGetConnectionAttributes", &get)
	raw := slices.Repeat([]byte{0x55}, 1118+64)
	if rc := get(h, &raw[0], &n.e); rc != rcOK {
		n.t.Fatalf("rc %d", rc)
	}
	// dest 65, host 101, partnerHost 101, sysNumber 3: sysId is unit 270.
	for at, want := range map[int]string{2 * 270: "S4H", 2 * 279: "100", 2 * 283: "ORDERPORT", 2 * 166: n.lab.host} {
		if got := units(raw, at, len(want)); got != want {
			n.t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
	if raw[1117] != 0 || raw[1118] != 0x55 {
		n.t.Error("the struct does not have 1118 bytes")
	}
}

// bind binds a function that the connector does not use.
func (n *naive) bind(name string, target any) {
	n.t.Helper()
	handle, err := openLibrary(n.lab.folder + "/" + sdk.FileName)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := bind(handle, name, target); err != nil {
		n.t.Fatal(err)
	}
}

func TestTablesAreWalkedThrough(t *testing.T) {
	t.Parallel()
	n := newNaive(t, sapsim.Options{Own: []sapsim.Own{echo()}}, sdk.Variant{})
	var first, next, clear func(table uintptr, e *errorInfo) int32
	n.bind("RfcMoveToFirstRow", &first)
	n.bind("RfcMoveToNextRow", &next)
	n.bind("RfcDeleteAllRows", &clear)
	h := n.open()
	defer n.lib.closeConnection(h, &n.e)
	c, rc := n.call(h, rfc.Call{Function: "ECHO", Tables: map[string][]rfc.Structure{"TAB": {{"TEXT": "a"}, {"TEXT": "b"}}}})
	if rc != rcOK {
		t.Fatal(n.e.failure(true))
	}
	var table uintptr
	n.lib.getTable(c, &uc("TAB")[0], &table, &n.e)
	var read []string
	const end = 25 // RFC_TABLE_MOVE_EOF
	for rc = first(table, &n.e); rc == rcOK; rc = next(table, &n.e) {
		buffer := make([]uint16, 20)
		n.lib.getChars(table, &uc("TEXT")[0], &buffer[0], 20, &n.e) // the table stands for its row
		read = append(read, text(buffer))
	}
	if rc != end || !slices.Equal(read, []string{"a", "b"}) {
		t.Errorf("rc %d, %v", rc, read)
	}
	if clear(table, &n.e); first(table, &n.e) != end {
		t.Error("the table is not empty")
	}
}

// A table that is switched off goes neither there nor back.
func TestAParameterThatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	sent := make(chan bool, 1)
	own := sapsim.Own{Name: "LOOK", Interface: "t TAB BAPIVBELN", Body: func(_ *sapsim.Session, in sapsim.Parameters) (sapsim.Parameters, error) {
		_, ok := in.Tables["TAB"]
		sent <- ok
		return sapsim.Parameters{}, nil
	}}
	for _, active := range []int32{0, 1} {
		n := newNaive(t, sapsim.Options{Own: []sapsim.Own{own}}, sdk.Variant{})
		var set func(c uintptr, name *uint16, active int32, e *errorInfo) int32
		n.bind("RfcSetParameterActive", &set)
		h := n.open()
		f := &frame{lib: n.lib, handle: h, functions: map[string]*description{}, names: map[string]*uint16{}}
		d, err := f.describe("LOOK")
		if err != nil {
			t.Fatal(err)
		}
		c := n.lib.createFunction(d.handle, &n.e)
		set(c, &uc("TAB")[0], active, &n.e)
		if n.lib.invoke(h, c, &n.e) != rcOK || <-sent != (active == 1) {
			t.Errorf("active %d", active)
		}
		n.lib.destroyFunction(c, &n.e)
		n.lib.closeConnection(h, &n.e)
	}
}
