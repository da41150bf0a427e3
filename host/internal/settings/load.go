package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/orderport/orderport/host/internal/fault"
)

// ConfigEnv names the variable that names the YAML file.
const ConfigEnv = "ORDERPORT_CONFIG"

// Sources are what settings are taken from.
type Sources struct {
	// Flags are the flags that were given, by the setting's key.
	Flags map[string]string
	// ConfigFile is what the flag --config says; empty: ConfigEnv decides, and
	// without it there is no file.
	ConfigFile string
	// LookupEnv is os.LookupEnv, or a test's. An empty variable is not set.
	LookupEnv func(name string) (string, bool)
}

// Load reads all sources and checks the result. Its error is a *fault.Error
// "invalid_settings" that names every setting that is wrong, and where it was
// set. A missing master key is not an error here: most commands need none.
func Load(src Sources) (Settings, error) {
	s := Settings{origins: make(map[string]string)}
	file, wrong := src.readFile()
	for _, f := range Fields() {
		given, err := src.find(f, file)
		if given.origin == "" {
			given.text, given.origin = f.fallback(), originDefault
		}
		s.origins[f.Key] = given.origin
		if err == nil && given.text != "" {
			err = f.set(&s, given.text)
		}
		if err != nil {
			wrong = append(wrong, fault.Violation{Path: f.Key, Message: withOrigin(err.Error(), given.origin)})
		}
	}
	if err := s.fillIn(); err != nil {
		wrong = append(wrong, fault.Violation{Path: "host_name", Message: err.Error()})
	}
	// Relations between settings make sense only of settings that could be read.
	if len(wrong) == 0 {
		wrong = s.check()
	}
	return s, wrong.fault()
}

func withOrigin(message, origin string) string {
	if origin == "" || origin == originDefault {
		return message
	}
	return message + " (set by " + origin + ")"
}

// given is the text of a setting and where it comes from.
type given struct {
	text   string
	origin string // empty: it is not given
}

// find looks for a setting in the sources, from the first to the last.
func (src Sources) find(f Field, file map[string]given) (given, error) {
	if text, ok := src.Flags[f.Key]; ok {
		return given{text: text, origin: "--" + f.Flag}, nil
	}
	if text, ok := src.env(f.Env); ok {
		g := given{text: text, origin: f.Env}
		var err error
		if f.mayRefer() {
			g.text, err = src.resolve(text, "")
		}
		return g, err
	}
	g, ok := file[f.Key]
	if !ok || !f.mayRefer() {
		return g, nil
	}
	text, err := src.resolve(g.text, filepath.Dir(src.configFile()))
	if err == nil && f.isOpenSecret(g.text) {
		err = errors.New(`must be "file:PATH" or "env:NAME" in the YAML file, because it is secret`)
	}
	g.text = text
	return g, err
}

func (src Sources) env(name string) (string, bool) {
	text, ok := src.LookupEnv(name)
	return text, ok && text != ""
}

func (src Sources) configFile() string {
	if src.ConfigFile != "" {
		return src.ConfigFile
	}
	path, _ := src.env(ConfigEnv)
	return path
}

const (
	fileReference = "file:"
	envReference  = "env:"
)

// mayRefer reports whether the setting may be a reference to a file or to a
// variable. A database URL may, since it can hold a password.
func (f Field) mayRefer() bool { return f.Secret || f.Key == "database_url" }

// isOpenSecret reports whether text, as it stands in the YAML file, is a
// secret and not a reference to one.
func (f Field) isOpenSecret(text string) bool {
	if f.Secret {
		for part := range strings.SplitSeq(text, ",") {
			if !isReference(strings.TrimSpace(part)) {
				return true
			}
		}
		return false
	}
	return !isReference(text) && hasPassword(text)
}

func isReference(text string) bool {
	return strings.HasPrefix(text, fileReference) || strings.HasPrefix(text, envReference)
}

// resolve replaces references by what they refer to, part by part of a list.
// Paths are taken from base. Errors name the reference, which is no secret.
func (src Sources) resolve(text, base string) (string, error) {
	if !strings.Contains(text, fileReference) && !strings.Contains(text, envReference) {
		return text, nil
	}
	parts := strings.Split(text, ",")
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if path, ok := strings.CutPrefix(part, fileReference); ok {
			if !filepath.IsAbs(path) {
				path = filepath.Join(base, path)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			parts[i] = strings.TrimSpace(string(content))
		} else if name, ok := strings.CutPrefix(part, envReference); ok {
			value, ok := src.env(name)
			if !ok {
				return "", fmt.Errorf("refers to the variable %s, which is not set", name)
			}
			parts[i] = strings.TrimSpace(value)
		}
	}
	return strings.Join(parts, ","), nil
}

// fallback is the default as it is set; defaults that depend on other settings
// come later, see fillIn.
func (f Field) fallback() string {
	if strings.Contains(f.Default, "<") {
		return ""
	}
	return f.Default
}

// fillIn sets the defaults that depend on other settings.
func (s *Settings) fillIn() error {
	if s.DatabaseURL == "" {
		s.DatabaseURL = "sqlite:" + filepath.Join(s.DataDir, "orderport.db")
	}
	if s.PluginDir == "" {
		s.PluginDir = filepath.Join(s.DataDir, "connectors")
	}
	if s.PayloadURL == "" {
		s.PayloadURL = filepath.Join(s.DataDir, "payloads")
	}
	if s.HostName == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("is not set, and the machine does not say its name: %w", err)
		}
		s.HostName = name
	}
	return nil
}
