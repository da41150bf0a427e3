package httpapi

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"pgregory.net/rapid"
)

func TestASpoolIsAPipeThatNeverBlocksItsWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := newSpool(dir)
		defer s.Release()
		var written, read bytes.Buffer
		next := byte(0)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "write") || written.Len() == read.Len() {
				chunk := make([]byte, rapid.IntRange(1, spoolMemory*3/4).Draw(t, "size"))
				for i := range chunk {
					next = next*31 + 7
					chunk[i] = next
				}
				written.Write(chunk)
				if n, err := s.Write(chunk); n != len(chunk) || err != nil {
					t.Fatalf("write: %d %v", n, err)
				}
				continue
			}
			buf := make([]byte, rapid.IntRange(1, spoolMemory).Draw(t, "read"))
			n, err := s.Read(buf)
			if err != nil || n == 0 {
				t.Fatalf("read: %d %v", n, err)
			}
			read.Write(buf[:n])
		}
		s.Close()
		if _, err := io.Copy(&read, s); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written.Bytes(), read.Bytes()) {
			t.Fatalf("read %d bytes, other than the %d that were written", read.Len(), written.Len())
		}
		if _, err := s.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Fatalf("write after the end: %v", err)
		}
	})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestASpoolWakesItsReader(t *testing.T) {
	t.Parallel()
	s := newSpool(t.TempDir())
	got := make(chan string)
	go func() {
		all, _ := io.ReadAll(s)
		got <- string(all)
	}()
	_, _ = s.Write([]byte("one "))
	_, _ = s.Write([]byte("two"))
	s.Close()
	if text := <-got; text != "one two" {
		t.Errorf("read %q", text)
	}
}

func TestASpoolThatCantBeWrittenSaysSo(t *testing.T) {
	t.Parallel()
	s := newSpool("/no/such/directory")
	if _, err := s.Write(make([]byte, spoolMemory+1)); err == nil {
		t.Error("no error")
	}
}
