package draftorder_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/orderport/orderport/host/internal/draftorder"
)

func FuzzParse(f *testing.F) {
	f.Add(marshal(f, fullOrder()))
	f.Add([]byte(goldenCanonical))
	f.Add([]byte(`{"id":"\ud83d\ude00","lines":[{"qty":1e5}]}`))
	f.Add([]byte(`[[[[]]]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := draftorder.Parse(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("encoding/json does not take what Parse takes")
		}
		canonical := o.Canonical()
		again, err := draftorder.Parse(canonical)
		if err != nil {
			t.Fatalf("canonical form: %v\n%s", err, canonical)
		}
		if !bytes.Equal(again.Canonical(), canonical) {
			t.Fatalf("%s\nis not\n%s", again.Canonical(), canonical)
		}
		m, err := draftorder.DecodeCanonical(canonical)
		if err != nil || !proto.Equal(m, o.Proto()) {
			t.Fatalf("message %v, %v", m, err)
		}
		if _, err := proto.Marshal(m); err != nil {
			t.Fatal(err)
		}
	})
}
