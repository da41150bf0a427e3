package httpapi

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestASpoolIsAPipeThatHoldsMuch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const limit = 5 << 20
	rapid.Check(t, func(t *rapid.T) {
		s := newSpool(dir, limit, time.Minute)
		defer s.Release()
		var written, read bytes.Buffer
		next := byte(0)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "write") || written.Len() == read.Len() {
				room := limit - (written.Len() - read.Len()) // it must not block here
				if room == 0 {
					continue
				}
				chunk := make([]byte, min(rapid.IntRange(1, spoolMemory*3/4).Draw(t, "size"), room))
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
	s := newSpool(t.TempDir(), spoolLimit, time.Minute)
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
	s := newSpool("/no/such/directory", spoolLimit, time.Minute)
	if _, err := s.Write(make([]byte, spoolMemory+1)); err == nil {
		t.Error("no error")
	}
}

func TestAFullSpoolWaitsForItsReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const limit = 3000
		s := newSpool(dir, limit, time.Minute)
		defer s.Release()
		var want bytes.Buffer
		done := make(chan error, 1)
		go func() {
			defer close(done)
			for i := range 8 {
				chunk := bytes.Repeat([]byte{byte(i)}, spoolMemory/5+1)
				want.Write(chunk)
				if _, err := s.Write(chunk); err != nil {
					done <- err
					return
				}
			}
			s.Close()
		}()
		var got bytes.Buffer
		buf := make([]byte, 1000)
		for {
			if got.Len() < 700_000 {
				<-time.After(50 * time.Second) // slow, but it reads
			}
			n, err := s.Read(buf)
			got.Write(buf[:n])
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if info, err := statOf(s); err != nil || info > limit {
				t.Fatalf("the file has %d bytes: %v", info, err)
			}
		}
		if err := <-done; err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("%d bytes of %d came through: %v", got.Len(), want.Len(), err)
		}
	})
}

// statOf returns the size of a spool's file.
func statOf(s *spool) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return 0, nil
	}
	info, err := s.file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func TestAFullSpoolThatNobodyReadsFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		end  func(*spool)
		want error
	}{
		"after a while":                 {func(*spool) {}, errUnread},
		"at once if its reader is gone": {(*spool).Close, io.ErrClosedPipe},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSpool(dir, 1000, time.Minute)
				defer s.Release()
				failed := make(chan error)
				go func() {
					_, err := s.Write(make([]byte, spoolMemory+1))
					failed <- err
				}()
				synctest.Wait()
				tc.end(s)
				if err := <-failed; !errors.Is(err, tc.want) {
					t.Errorf("it failed with %v, want %v", err, tc.want)
				}
			})
		})
	}
}
