package httpapi

import (
	"embed"
	"net/http"
)

//go:embed docs
var docsFiles embed.FS

// docsPolicy allows the page its own script and style, the OpenAPI document,
// and nothing else: it works without a network and runs nobody else's code.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// registerDocs serves the page that shows the OpenAPI document.
func registerDocs(mux *http.ServeMux) {
	for path, file := range map[string]struct{ name, mime string }{
		"/docs":          {"docs/index.html", "text/html; charset=utf-8"},
		"/docs/page.js":  {"docs/page.js", "text/javascript; charset=utf-8"},
		"/docs/page.css": {"docs/page.css", "text/css; charset=utf-8"},
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			data, err := docsFiles.ReadFile(file.name)
			if err != nil {
				panic(err) // the files are in the binary
			}
			w.Header().Set("Content-Security-Policy", docsPolicy)
			w.Header().Set("Content-Type", file.mime)
			_, _ = w.Write(data)
		})
	}
}
