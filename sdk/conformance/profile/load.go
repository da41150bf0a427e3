package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// Load reads a profile from a YAML file. Unknown fields are refused. Relative
// paths in it start at the file's folder.
func Load(file string) (Profile, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Profile{}, fmt.Errorf("read the profile: %w", err)
	}
	var p Profile
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&p); err != nil && !errors.Is(err, io.EOF) {
		return Profile{}, fmt.Errorf("read the profile %s: %w", file, err)
	}
	folder := filepath.Dir(file)
	for _, path := range []*string{&p.Binary, &p.PreviousSchema, &p.Manifest} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(folder, *path)
		}
	}
	if len(p.Target.Command) > 0 && filepath.Base(p.Target.Command[0]) != p.Target.Command[0] && !filepath.IsAbs(p.Target.Command[0]) {
		p.Target.Command[0] = filepath.Join(folder, p.Target.Command[0])
	}
	return p, nil
}
