// Package redact replaces secrets in text that a connector wrote.
//
// A connector gets configs in the clear, so whatever it prints or answers may
// hold a password by accident. The host knows which values of a config are
// secret (the schema marks them) and replaces them wherever text of a
// connector leaves the host: log lines, error messages, crash reasons. It
// finds a value as it is and in the forms in which programs commonly print
// one: escaped, in hex, in base64, also in the middle of a longer base64 text.
//
// It is a safety net against accidents, not against a connector that wants to
// leak: that one can write anything anywhere.
package redact

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/orderport/orderport/sdk/configschema"
)

// Mark is what takes a secret's place.
const Mark = "[redacted]"

// maxConfigs bounds how many configs are remembered. The one that was learned
// first is forgotten first, and is learned again when it is next used.
const maxConfigs = 8192

// Redactor knows the secrets of the configs in use. It is safe for concurrent
// use.
type Redactor struct {
	seed maphash.Seed

	mu       sync.RWMutex
	configs  map[uint64][]string // by hash of the config: its secrets
	order    []uint64            // of configs, oldest first
	uses     map[string]int      // how many configs hold a secret
	replacer *strings.Replacer   // nil: has to be built
}

// Schema knows which values of a config are secret.
type Schema interface {
	SecretValues(config []byte) []string
}

// New returns a Redactor that knows no secrets yet.
func New() *Redactor {
	return &Redactor{
		seed:    maphash.MakeSeed(),
		configs: map[uint64][]string{},
		uses:    map[string]int{},
	}
}

// Learn remembers the secrets of a config. It costs one hash of the config if
// the config is known already, so every call may do it.
func (r *Redactor) Learn(schema Schema, config []byte) {
	if len(config) == 0 || schema == nil {
		return
	}
	key := maphash.Bytes(r.seed, config)
	r.mu.RLock()
	_, known := r.configs[key]
	r.mu.RUnlock()
	if known {
		return
	}
	found := schema.SecretValues(config)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(key, found)
}

// add needs mu.
func (r *Redactor) add(key uint64, found []string) {
	if _, known := r.configs[key]; known {
		return
	}
	if len(r.order) >= maxConfigs {
		r.forget(r.order[0])
		r.order = r.order[1:]
	}
	r.configs[key] = found
	r.order = append(r.order, key)
	for _, s := range found {
		r.uses[s]++
	}
	r.replacer = nil
}

// forget needs mu.
func (r *Redactor) forget(key uint64) {
	for _, s := range r.configs[key] {
		if r.uses[s]--; r.uses[s] == 0 {
			delete(r.uses, s)
		}
	}
	delete(r.configs, key)
}

// String returns s with every known secret replaced by Mark.
func (r *Redactor) String(s string) string {
	r.mu.RLock()
	rep, none := r.replacer, len(r.uses) == 0
	r.mu.RUnlock()
	switch {
	case none || s == "":
		return s
	case rep == nil:
		rep = r.build()
	}
	return rep.Replace(s)
}

func (r *Redactor) build() *strings.Replacer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.replacer != nil {
		return r.replacer
	}
	secrets := slices.Collect(maps.Keys(r.uses))
	r.replacer = configschema.NewRedactor(secrets, Mark)
	return r.replacer
}
