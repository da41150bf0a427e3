package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"

	"github.com/orderport/orderport/sdk/hands"
	"github.com/orderport/orderport/sdk/sdktest"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// The benchmarks report files/s. Each has a bare loop as its yardstick, which
// does for each file what can't be left out and nothing else: no payload, no
// checkpoint, no second flush of the directory, no host.

const benchExports = 32 // at one time

func BenchmarkSFTPExport(b *testing.B) {
	srv := sshtest.Run(b, sshtest.Options{})
	benchmarkExport(b, sftpFields(srv).json())
}

func BenchmarkSFTPBareLoop(b *testing.B) {
	for _, perSession := range []int{1, 8} {
		b.Run(fmt.Sprintf("4x%d", perSession), func(b *testing.B) { benchmarkBareSFTP(b, 4, perSession) })
	}
}

func BenchmarkSFTPTarget(b *testing.B) {
	srv := sshtest.Run(b, sshtest.Options{})
	benchmarkTarget(b, openTarget(b, sftpConfig(srv)), srv.Root)
}

func BenchmarkFilesystemTarget(b *testing.B) {
	dir := b.TempDir()
	benchmarkTarget(b, openTarget(b, config{Mode: modeFilesystem}), dir)
}

// benchmarkTarget is what an export asks of its target, with both flushes of
// the directory but without a host.
func benchmarkTarget(b *testing.B, tg target, dir string) {
	ctx := b.Context()
	_, err := tg.List(ctx, dir)
	noErr(b, err)
	p := publisherOf(tg, &hands.Pool{})
	spread(b, benchExports, func(_, i int) error {
		final := strconv.Itoa(i)
		_, err := p.Stage(ctx, dir, final+".tmp", benchData)()
		return errors.Join(err, p.Publish(ctx, dir, final+".tmp", final))
	})
}

func BenchmarkFilesystemExport(b *testing.B) {
	benchmarkExport(b, filesystemFields(b.TempDir()).json())
}

func BenchmarkFilesystemBareLoop(b *testing.B) {
	dir, err := os.Open(b.TempDir())
	noErr(b, err)
	defer dir.Close()
	spread(b, benchExports, func(_, i int) error {
		tmp := filepath.Join(dir.Name(), fmt.Sprintf("%d.tmp", i))
		file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return err
		}
		if err := writeAndFlush(file, benchData); err != nil {
			return err
		}
		if err := unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, tmp[:len(tmp)-4], unix.RENAME_NOREPLACE); err != nil {
			return err
		}
		return dir.Sync()
	})
}

var benchData = make([]byte, 900) // about what an order of two lines has

func benchmarkExport(b *testing.B, config string) {
	c := newConnector()
	hosts := make([]*sdktest.Host, benchExports)
	for i := range hosts {
		hosts[i] = sdktest.New(b, c)
	}
	order := sdktest.SampleOrder()
	warm := hosts[0].NewExport(config, order)
	warm.ID = exportID(1 << 30)
	if _, err := warm.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	spread(b, benchExports, func(worker, i int) error {
		export := hosts[worker].NewExport(config, order)
		export.ID = exportID(i)
		result, err := export.Run(b.Context())
		if err == nil && !result.GetSuccess() {
			err = fmt.Errorf("export: %v", result.GetError())
		}
		return err
	})
}

func benchmarkBareSFTP(b *testing.B, sessions, perSession int) {
	srv := sshtest.Run(b, sshtest.Options{})
	d, err := newDialer(sftpConfig(srv))
	noErr(b, err)
	clients := make([]*sftp.Client, sessions)
	for i := range clients {
		s, err := d.dial(b.Context())
		noErr(b, err)
		defer s.close()
		clients[i] = s.files
	}
	spread(b, sessions*perSession, func(worker, i int) error {
		c := clients[worker%sessions]
		tmp := fmt.Sprintf("%s/%d.tmp", srv.Root, i)
		file, err := c.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if err != nil {
			return err
		}
		if _, err := file.Write(benchData); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
		return c.Rename(tmp, tmp[:len(tmp)-4])
	})
}

// spread runs b.N calls on some workers and reports how many per second.
func spread(b *testing.B, workers int, call func(worker, i int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for worker := range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				if err := call(worker, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
}
