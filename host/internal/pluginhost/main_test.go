package pluginhost_test

import (
	"os"
	"testing"

	"github.com/orderport/orderport/host/internal/pluginhost/hosttest"
)

func TestMain(m *testing.M) { os.Exit(hosttest.Main(m)) }
