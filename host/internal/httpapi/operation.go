package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/orderport/orderport/host/internal/app"
	"github.com/orderport/orderport/host/internal/view"
)

// operation describes one call for the document and for authenticate.
type operation struct {
	method  string
	path    string // below Base
	id      string
	tag     string
	summary string
	text    string
	action  app.Action
	// body is a value of the type of the JSON body, or nil.
	body any
	// ok maps the statuses of success to their descriptions; the first one
	// (the lowest) is the default.
	ok map[int]string
	// fails lists further statuses of failure beyond those that every
	// operation has.
	fails []int
}

const (
	actionKey   = "action"
	problemType = "application/problem+json"
)

// register adds an operation whose handler returns faults as they are.
func register[I, O any](api huma.API, o operation, handle func(context.Context, *I) (*O, error)) {
	registry := api.OpenAPI().Components.Schemas
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: Base + o.path, Summary: o.summary, Description: o.text,
		Tags: []string{o.tag}, DefaultStatus: o.defaultStatus(), Responses: map[string]*huma.Response{},
		Security: []map[string][]string{{"token": {}}}, Metadata: map[string]any{actionKey: o.action},
	}
	problem := registry.Schema(reflect.TypeFor[view.Problem](), true, "Problem")
	for status, text := range o.ok {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: text}
	}
	for _, status := range append(o.alwaysPossible(), o.fails...) {
		op.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status), Content: map[string]*huma.MediaType{problemType: {Schema: problem}},
		}
	}
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, newProblem(ctx, err)
		}
		return out, nil
	})
	op.Responses = o.registered(api).Responses
	for status := range o.ok {
		if status < http.StatusMultipleChoices {
			op.Responses[strconv.Itoa(status)].Content = op.Responses[strconv.Itoa(op.DefaultStatus)].Content
		}
	}
	if o.body != nil {
		t := reflect.TypeOf(o.body)
		o.setBody(api, "application/json", registry.Schema(t, true, t.Name()))
	}
}

// setBody documents the body once the operation is registered: before that,
// huma would take it for a body that it has to read itself.
func (o operation) setBody(api huma.API, mediaType string, schema *huma.Schema) {
	o.registered(api).RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{mediaType: {Schema: schema}}}
}

// registered is the operation as it is in the document.
func (o operation) registered(api huma.API) *huma.Operation {
	item := api.OpenAPI().Paths[Base+o.path]
	switch o.method {
	case http.MethodGet:
		return item.Get
	case http.MethodPut:
		return item.Put
	default:
		return item.Post
	}
}

// alwaysPossible are the failures that every operation has, and those that
// every one has that may be sent a body.
func (o operation) alwaysPossible() []int {
	statuses := []int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
	if o.method != http.MethodGet {
		statuses = append(statuses, http.StatusUnsupportedMediaType)
	}
	return statuses
}

func (o operation) defaultStatus() int {
	lowest := 0
	for status := range o.ok {
		if lowest == 0 || status < lowest {
			lowest = status
		}
	}
	return lowest
}

// answer is a JSON body with a status of its own.
type answer[T any] struct {
	Status int
	Body   T
}

// Page is how lists are paged.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Items per page."`
	Cursor string `query:"cursor" doc:"next_cursor of the last page."`
}

// newDocument starts the OpenAPI document.
func newDocument(version string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Orderport", Version: version,
			Description: "Orderport delivers approved orders into ERP systems, exactly once.\n\n" +
				"Every call needs a token, which decides the organization. Failures are problem documents with a " +
				"stable `code`. Lists run from new to old and page with `limit` and `cursor`.",
		},
		Servers: []*huma.Server{{URL: "/"}},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"token": {Type: "http", Scheme: "bearer", Description: "A token from `orderport token create`."},
			},
		},
		Tags: []*huma.Tag{
			{Name: "Exports", Description: "Hand in approved orders and see what became of them."},
			{Name: "Connections", Description: "Where an organization's orders go."},
			{Name: "Connectors", Description: "What kinds of ERP this host can deliver to."},
			{Name: "Audit", Description: "Who did what, when."},
		},
	}
}

// finishDocument takes out what huma adds for its own errors, which never
// leave this API, and says what struct tags can't.
func finishDocument(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas.Map()
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
	for name, schema := range schemas {
		if !slices.Contains(strict, name) {
			schema.AdditionalProperties = nil // answers may get more fields
		}
	}
	for _, path := range nullable {
		name, property, _ := strings.Cut(path, ".")
		schema := schemas[name].Properties[property]
		ref := &huma.Schema{Ref: schema.Ref}
		schemas[name].Properties[property] = &huma.Schema{
			Description: schema.Description, OneOf: []*huma.Schema{ref, {Type: "null"}},
		}
	}
}

// strict are the schemas of requests: a field that they don't have is refused.
var strict = []string{
	"ConnectionBody", "ConfigBody", "ExportBody", "ResolveBody",
	"DraftOrder", "Customer", "Address", "OrderLine", "SourceDocument",
}

// nullable are the properties that refer to a schema or are null.
var nullable = []string{
	"Export.error", "ExportWithAttempts.error", "Attempt.error", "TestResult.error",
	"DraftOrder.ship_to", "DraftOrder.bill_to", "DraftOrder.source_document",
}
