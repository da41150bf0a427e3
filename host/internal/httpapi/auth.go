package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/fault"
)

type actorKey struct{}

// authenticate lets a call through whose token is valid and whose role may do
// what the operation does. It runs before anything of the body is read.
func (s *server) authenticate(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	actor, err := s.actorOf(r)
	if err == nil {
		err = authorize(actor, ctx.Operation())
	}
	if err != nil {
		writeProblem(w, r, err)
		return
	}
	next(huma.WithValue(ctx, actorKey{}, actor))
}

func (s *server) actorOf(r *http.Request) (app.Actor, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		secret = ""
	}
	return s.Services.Tokens.Authenticate(r.Context(), strings.TrimSpace(secret))
}

func authorize(actor app.Actor, op *huma.Operation) error {
	action, ok := op.Metadata[actionKey].(app.Action)
	if !ok {
		return fault.New(fault.Forbidden, "role_forbids", "nobody may call %s", op.OperationID)
	}
	return actor.Authorize(action)
}

// actor returns who calls; authenticate has put it there.
func actor(ctx context.Context) app.Actor {
	a, _ := ctx.Value(actorKey{}).(app.Actor)
	return a
}
