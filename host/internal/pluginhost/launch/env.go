package launch

import "strings"

// allowedEnv is what of the host's environment a connector may see: what
// libraries need to tell the time, speak a language and trust certificates.
// Secrets never travel by environment.
var allowedEnv = []string{"TZ", "LANG", "LANGUAGE", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// Environment picks from environ ("NAME=value") what a connector may see, and
// the variables that the operator names beyond that. Names that steer
// go-plugin or Orderport are never passed.
func Environment(environ, extra []string) []string {
	allowed := map[string]bool{}
	for _, name := range append(append([]string(nil), allowedEnv...), extra...) {
		allowed[name] = true
	}
	var out []string
	for _, v := range environ {
		name, _, ok := strings.Cut(v, "=")
		if !ok || reserved(name) {
			continue
		}
		if allowed[name] || strings.HasPrefix(name, "LC_") {
			out = append(out, v)
		}
	}
	return out
}

func reserved(name string) bool {
	return strings.HasPrefix(name, "PLUGIN_") || strings.HasPrefix(name, "ORDERPORT_") || strings.HasPrefix(name, "ENCRYPTION_")
}
