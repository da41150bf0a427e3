package payload_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/orderport/orderport/host/internal/payload"
)

// benchWriters is how many Puts run at one time.
const benchWriters = 32

// BenchmarkPut and BenchmarkBareLoop do the same: make files of 2 kB durable.
// Compare them with TMPDIR in a folder that is new: where thousands of files
// have just been removed, some file systems take long to make new ones.
func BenchmarkPut(b *testing.B) {
	d, err := payload.OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 2000)
	concurrently(b, func(n int64) error {
		_, err := d.Put(b.Context(), fmt.Sprintf("exports/o/%d", n), data)
		return err
	})
	if err := d.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkBareLoop writes, flushes and renames each file and flushes its
// directory, each by itself.
func BenchmarkBareLoop(b *testing.B) {
	dir := b.TempDir()
	data := make([]byte, 2000)
	concurrently(b, func(n int64) error {
		path := filepath.Join(dir, fmt.Sprint(n))
		file, err := os.Create(path + ".tmp")
		if err != nil {
			return err
		}
		if _, err := file.Write(data); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			return err
		}
		parent, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer func() { _ = parent.Close() }()
		return parent.Sync()
	})
}

func concurrently(b *testing.B, do func(n int64) error) {
	b.Helper()
	var next atomic.Int64
	b.SetParallelism(max(1, benchWriters/runtime.GOMAXPROCS(0)))
	before := cpuTime(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(next.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpuTime is what this process has used, the kernel's work for it included.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(unix.TimevalToNsec(usage.Utime) + unix.TimevalToNsec(usage.Stime))
}
