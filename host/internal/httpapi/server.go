package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/orderport/orderport/host/internal/app"
)

// Base is where the API's operations live.
const Base = "/api/v1"

const (
	headerTimeout = 5 * time.Second
	// bodyTimeout is how long a request may take to arrive; a batch gets as
	// much again for each stretch that it makes progress.
	bodyTimeout = 60 * time.Second
	// answerTimeout bounds a whole call. It leaves room for a connection test.
	answerTimeout = 120 * time.Second
	idleTimeout   = 120 * time.Second
	maxHeader     = 64 << 10
)

// Config is what the API stands on.
type Config struct {
	Services *app.Services
	// Ready says what keeps the host from doing its work; empty: nothing.
	Ready func(ctx context.Context) []string
	// Metrics answers /metrics. Observe is told of every call; route is one of
	// the registered patterns, or empty.
	Metrics http.Handler
	Observe func(route, method string, status int, took time.Duration)
	// Unavailable says of an error whether the database does not answer; nil:
	// none means that.
	Unavailable func(err error) bool
	Log         *slog.Logger
	Version     string
	// TempDir holds the answers of a batch whose client does not read them
	// yet; empty: the system's.
	TempDir string

	batches batchBounds
}

// server holds the handlers.
type server struct {
	Config
	connections *app.Connections
	exports     *app.Exports
	intake      *app.Intake
}

// New returns the handler for everything that the host serves over HTTP.
func New(c Config) http.Handler {
	mux := http.NewServeMux()
	registerAPI(mux, c)
	s := &server{Config: c}
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	if c.Metrics != nil {
		mux.Handle("GET /metrics", c.Metrics)
	}
	registerDocs(mux)
	return s.middleware(mux)
}

// Serve returns a server for h with time-outs that a slow client can't stretch.
func Serve(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// registerAPI registers every operation on mux and returns the API, whose
// OpenAPI document is then complete.
func registerAPI(mux *http.ServeMux, c Config) huma.API {
	config := huma.Config{
		OpenAPI:       newDocument(c.Version),
		OpenAPIPath:   "/openapi",
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{asProblem},

		RejectUnknownQueryParameters: true,
	}
	api := humago.New(mux, config)
	s := &server{Config: c}
	if c.Services != nil {
		s.connections, s.exports, s.intake = c.Services.Connections, c.Services.Exports, c.Services.Intake
	}
	api.UseMiddleware(s.authenticate)
	s.registerConnectorTypes(api)
	s.registerConnections(api)
	s.registerExports(api)
	s.registerAudit(api)
	finishDocument(api.OpenAPI())
	return api
}
