package metrics_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/metrics"
)

func TestExportsAreCountedTheMoreRarelyTheLongerItTakes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		takes time.Duration
		want  int // counts in ten minutes with a scrape each second
	}{
		"a quick one every ten seconds":      {time.Millisecond, 60},
		"half a second: every fifty seconds": {500 * time.Millisecond, 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				counts := 0
				m := metrics.New(metrics.Options{CountExports: func(context.Context) (map[domain.ExportStatus]int64, error) {
					counts++
					<-time.After(tc.takes)
					return map[domain.ExportStatus]int64{domain.Sent: 3}, nil
				}})
				for begun := time.Now(); time.Since(begun) < 10*time.Minute; <-time.After(time.Second) {
					if text := scrape(m); !strings.Contains(text, `orderport_exports{status="SENT"} 3`) {
						t.Fatalf("no count in\n%s", text)
					}
				}
				if counts < tc.want-3 || counts > tc.want {
					t.Errorf("%d counts in ten minutes, want %d", counts, tc.want)
				}
			})
		})
	}
}

func TestACountThatFailedIsNoFigure(t *testing.T) {
	t.Parallel()
	fail := false
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New(metrics.Options{CountExports: func(context.Context) (map[domain.ExportStatus]int64, error) {
			if fail {
				return nil, errors.New("the database is away")
			}
			return map[domain.ExportStatus]int64{domain.Sent: 3}, nil
		}})
		scrape(m)
		fail = true
		<-time.After(time.Minute)
		if text := scrape(m); strings.Contains(text, "orderport_exports{") {
			t.Errorf("an old figure is shown in\n%s", text)
		}
	})
}

func scrape(m *metrics.Metrics) string {
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	return answer.Body.String()
}
