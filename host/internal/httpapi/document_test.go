package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is the OpenAPI document, ready to check answers with. It is made
// once and never changes.
var document = sync.OnceValue(func() *documented {
	api := registerAPI(http.NewServeMux(), Config{Version: "test"})
	raw, err := json.Marshal(api.OpenAPI())
	if err != nil {
		panic(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", parsed); err != nil {
		panic(err)
	}
	d := &documented{schemas: map[string]*jsonschema.Schema{}}
	for name := range api.OpenAPI().Components.Schemas.Map() {
		d.schemas[name] = compiler.MustCompile("openapi.json#/components/schemas/" + name)
	}
	for _, r := range routes() {
		pattern := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(r.path), `[^/]+`)
		d.operations = append(d.operations, documentedOperation{r.method, regexp.MustCompile("^" + pattern + "$"), r.op})
	}
	return d
})

type documented struct {
	schemas    map[string]*jsonschema.Schema
	operations []documentedOperation
}

type documentedOperation struct {
	method string
	path   *regexp.Regexp
	op     *huma.Operation
}

// mustBeAsDocumented fails the test if an answer has a status, a content type
// or a shape that the document does not say.
func (a *answered) mustBeAsDocumented(method, path string) {
	a.t.Helper()
	for _, o := range document().operations {
		if o.method != method || !o.path.MatchString(path) {
			continue
		}
		response, ok := o.op.Responses[strconv.Itoa(a.status)]
		if !ok {
			a.t.Errorf("%s answered %d, which is not documented: %s", o.op.OperationID, a.status, a.body)
			return
		}
		if len(a.body) == 0 && len(response.Content) == 0 {
			return
		}
		media, ok := response.Content[a.header.Get("Content-Type")]
		if !ok {
			a.t.Errorf("%s answered %d with %s, which is not documented", o.op.OperationID, a.status, a.header.Get("Content-Type"))
			return
		}
		a.mustMatch(o.op.OperationID, media.Schema)
		return
	}
}

func (a *answered) mustMatch(operation string, schema *huma.Schema) {
	a.t.Helper()
	name, isRef := strings.CutPrefix(schema.Ref, "#/components/schemas/")
	if !isRef {
		return // bytes
	}
	for line := range bytes.Lines(a.body) {
		if !strings.Contains(a.header.Get("Content-Type"), "ndjson") {
			line = a.body
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err == nil {
			err = document().schemas[name].Validate(value)
		}
		if err != nil {
			a.t.Errorf("%s answered %d with what is no %s: %v\n%s", operation, a.status, name, err, line)
			return
		}
	}
}
