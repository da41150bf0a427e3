package pluginhost_test

import (
	"strconv"
	"testing"

	"github.com/orderport/orderport/host/internal/pluginhost/hosttest"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestSmoke(t *testing.T) {
	w := newWorld(t)
	hosttest.Install(t, w.dir, "noop", hosttest.Plan{})
	w.start()
	t.Logf("%+v", w.host.Status())
	r, err := export(w.port("NOOP"), "deliver", nil)
	t.Log(r, err)
	t.Log(w.log)
}
