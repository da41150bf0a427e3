package httpapi

import (
	"context"
	"net/http"
	"time"
)

// readyDeadline bounds the questions behind /readyz.
const readyDeadline = 3 * time.Second

type healthAnswer struct {
	Status  string   `json:"status"`            // "ok" or "unavailable"
	Reasons []string `json:"reasons,omitempty"` // what keeps the host from its work
	Version string   `json:"version,omitempty"`
}

// healthz says that the process runs; it asks nobody.
func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	writeJSON(w, healthAnswer{Status: "ok", Version: s.Version})
}

// readyz says whether the host can do its work, and if not, why.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyDeadline)
	defer cancel()
	answer, status := healthAnswer{Status: "ok"}, http.StatusOK
	if s.Ready != nil {
		answer.Reasons = s.Ready(ctx)
	}
	if len(answer.Reasons) > 0 {
		answer.Status, status = "unavailable", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	writeJSON(w, answer)
}
