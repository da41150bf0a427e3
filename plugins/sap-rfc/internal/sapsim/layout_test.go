package sapsim

import "testing"

// The structures are as long as they are known to be, and their fields are
// where they are known to be.
func TestStructuresHaveTheirLengths(t *testing.T) {
	t.Parallel()
	for _, release := range []Release{S4, ECC} {
		l := newLexicon(release, true, nil)
		for name, want := range lengths {
			n := want[1]
			if release.S4 {
				n = want[0]
			}
			if got := l.structures[name].Extent().NUC; n != 0 && got != n {
				t.Errorf("%s: %s has %d bytes, want %d", release.Name, name, got, n)
			}
		}
	}
	offsets := map[string]int{
		"TYPE": 0, "ID": 1, "NUMBER": 21, "MESSAGE": 24, "LOG_NO": 244, "LOG_MSG_NO": 264, "MESSAGE_V1": 270, "MESSAGE_V4": 420,
		"PARAMETER": 470, "ROW": 504, "FIELD": 508, "SYSTEM": 538,
	}
	var e Extent
	for _, f := range newLexicon(S4, false, nil).structures["BAPIRET2"].Fields {
		if at, known := offsets[f.Name], e.Add(f); known.NUCOffset != at {
			if _, checked := offsets[f.Name]; checked {
				t.Errorf("%s is at %d, want %d", f.Name, known.NUCOffset, at)
			}
		}
	}
}

func TestEveryFunctionHasABody(t *testing.T) {
	t.Parallel()
	l := newLexicon(S4, true, nil)
	for name, f := range l.functions {
		if f.body == nil {
			t.Error(name)
		}
		for _, p := range f.Parameters {
			if p.Structure == nil && p.Field.Kind == 0 {
				t.Errorf("%s of %s has no type", p.Name, name)
			}
		}
	}
	if len(l.functions) != len(bodies) {
		t.Errorf("%d functions, %d bodies", len(l.functions), len(bodies))
	}
}
