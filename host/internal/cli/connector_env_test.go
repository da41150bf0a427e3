package cli

import (
	"slices"
	"testing"

	"github.com/orderport/orderport/host/internal/settings"
)

func TestConnectorsGetTheVariablesThatTheSettingsName(t *testing.T) {
	t.Parallel()
	for given, want := range map[string][]string{"": {}, "LD_LIBRARY_PATH": {"LD_LIBRARY_PATH"}, "SECUDIR, LD_LIBRARY_PATH,": {"SECUDIR", "LD_LIBRARY_PATH"}} {
		options, err := new(session).pluginOptions(settings.Settings{DataDir: t.TempDir(), ConnectorEnv: given})
		if err != nil || !slices.Equal(options.PassEnv, want) {
			t.Errorf("%q passes %v, want %v; %v", given, options.PassEnv, want, err)
		}
	}
}
