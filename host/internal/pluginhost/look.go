package pluginhost

import (
	"io/fs"
	"os"
	"time"

	"github.com/orderport/orderport/host/internal/connector"
	"github.com/orderport/orderport/host/internal/pluginhost/image"
)

// stamp tells cheaply whether a file may have changed.
type stamp struct {
	size    int64
	changed time.Time
	mode    fs.FileMode
	inode   uint64
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.Size(), info.ModTime(), info.Mode(), inode(info)}, nil
}

// look decides what the unit's file means now: nothing new, a binary to try, or
// one that must not run.
func (s *supervisor) look(req *request) {
	defer close(req.done)
	if req.gone {
		return
	}
	img, err := s.load()
	if err != nil {
		s.reject(err.Error())
		return
	}
	verdict := req.lock.Verify(s.file, img.SHA256)
	s.update(func() {
		entry, _ := req.lock.Lookup(s.file)
		s.digest, s.trusted, s.lockType = img.SHA256, verdict == nil, entry.Type
	})
	forbidden := verdict != nil && !s.host.opts.Dev
	switch {
	case forbidden && s.active != nil && s.active.id.sha256 == img.SHA256:
		img.Close()
		s.revoke(verdict.Error())
	case forbidden:
		img.Close()
		s.reject(verdict.Error())
	case s.active != nil && s.active.id.sha256 == img.SHA256:
		img.Close()
		s.keep(req.force)
	case s.next != nil && s.next.SHA256 == img.SHA256:
		img.Close()
		s.keep(req.force)
	default:
		s.try(img)
	}
}

func (s *supervisor) load() (*image.Image, error) {
	if s.host.attaches(s.path) {
		return image.Attach(s.path)
	}
	return image.Load(s.path, s.host.dir.Path())
}

// try starts a new binary next to what runs.
func (s *supervisor) try(img *image.Image) {
	old := s.next
	s.next, s.crashes = img, 0
	if s.starting == 0 {
		s.discard(old)
	} // else its result comes, and discards it
	s.launch(img)
	if s.current == nil {
		s.update(func() { s.state, s.reason, s.retryAt = connector.Starting, "", time.Time{} })
	}
}

// keep goes on with what is known. An operator's request, or trust that came
// back, ends a quarantine or a pause.
func (s *supervisor) keep(force bool) {
	if s.current != nil {
		if s.reason != "" {
			s.update(func() { s.reason = "" })
		}
		return
	}
	if s.starting > 0 || (!force && s.state != connector.Quarantined) {
		return
	}
	s.crashes = 0
	s.update(func() { s.state, s.reason = connector.Starting, "" })
	s.tryAgain()
}

// reject leaves a file alone that must not or can't run. What runs already
// goes on.
func (s *supervisor) reject(reason string) {
	if old := s.next; old != nil {
		s.next = nil
		if s.starting == 0 {
			s.discard(old)
		}
	}
	if s.active != nil {
		s.update(func() { s.reason = "the file has changed and is not taken over: " + reason })
		return
	}
	s.quarantine(reason, false)
}

// revoke ends a binary that ran and must not any more.
func (s *supervisor) revoke(reason string) {
	old, was := s.current, s.active
	s.update(func() {
		s.current, s.active = nil, nil
		if old != nil {
			s.draining = append(s.draining, old)
		}
	})
	s.quarantine(reason, false)
	if old != nil {
		s.drain(old)
	}
	if s.starting == 0 {
		s.discard(was.img)
	}
}
