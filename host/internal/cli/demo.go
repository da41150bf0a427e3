package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/orderport/orderport/host/internal/demo"
)

type demoCommand struct {
	Dir string `help:"Directory for everything. Default: a new temporary one." placeholder:"DIR"`
}

// Run plays the demo with this very binary and the connectors beside it. The
// settings of the user's own host do not matter.
func (c *demoCommand) Run(s *session) error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return demo.Run(s.ctx, demo.Options{Executable: executable, PluginDir: filepath.Join(filepath.Dir(executable), "connectors"), Dir: c.Dir, Out: s.env.Stdout})
}
