package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/orderport/orderport/host/internal/fault"
)

// MaxBody bounds the body of a call, and one line of a batch, in bytes.
const MaxBody = 16 << 20

// maxRest bounds what is read, and thrown away, of a body that is too large.
const maxRest = 4 * MaxBody

// withBody gives a handler the request itself: huma finds Resolve on the input.
type withBody struct {
	request *http.Request
	writer  http.ResponseWriter
}

// Resolve keeps the request. Nothing is read yet.
func (b *withBody) Resolve(ctx huma.Context) []error {
	b.request, b.writer = humago.Unwrap(ctx)
	return nil
}

// read returns the whole body.
func (b *withBody) read() ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(b.request.Body, MaxBody+1))
	var network net.Error
	switch {
	case err == nil && len(data) > MaxBody:
		// Clients that send all before they read would otherwise see a broken
		// connection instead of the answer.
		_, _ = io.CopyN(io.Discard, b.request.Body, maxRest)
		return nil, tooLarge("the body")
	case err == nil:
		return data, nil
	case errors.As(err, &network) && network.Timeout():
		return nil, malformed("the body did not arrive in time")
	default:
		return nil, malformed("the body could not be read").Because(err)
	}
}

func tooLarge(what string) *fault.Error {
	return fault.New(fault.TooLarge, "too_large", "%s is larger than the limit of %d bytes", what, MaxBody)
}

// refuseEncoded refuses what would look like broken JSON.
func refuseEncoded(r *http.Request) error {
	encoding := r.Header.Get("Content-Encoding")
	if encoding == "" || strings.EqualFold(encoding, "identity") || r.ContentLength == 0 {
		return nil
	}
	return fault.New(fault.Encoded, "encoded_body", "the body has Content-Encoding %s; send it as it is", printableName(encoding))
}

func malformed(format string, args ...any) *fault.Error {
	return fault.New(fault.Malformed, "malformed_request", format, args...)
}

// fields reads the body as one JSON object whose members are among those
// named. Every unknown one is reported, at once.
func (b *withBody) fields(known ...string) (map[string]json.RawMessage, error) {
	data, err := b.read()
	if err != nil {
		return nil, err
	}
	members, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	return members, refuseUnknown(members, known)
}

func parseObject(data []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, malformed("the body is empty; a JSON object is expected")
	}
	if err := json.Unmarshal(data, &members); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, malformed("the body is not JSON: near byte %d: %s", syntax.Offset, syntax.Error())
		}
		return nil, malformed("the body must be a JSON object")
	}
	if members == nil {
		return nil, malformed("the body must be a JSON object")
	}
	return members, refuseTwice(data, len(members))
}

// refuseTwice names a member that an object, which is known to be JSON, has
// twice: the decoder keeps the last one, and the other would be lost.
func refuseTwice(object []byte, distinct int) error {
	dec := json.NewDecoder(bytes.NewReader(object))
	_, _ = dec.Token() // the opening brace
	seen := make(map[string]bool, distinct)
	for dec.More() {
		name, _ := dec.Token()
		text, _ := name.(string)
		if seen[text] {
			return invalid().WithField(printableName(text), "is there twice")
		}
		seen[text] = true
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return malformed("the body is not JSON").Because(err)
		}
	}
	return nil
}

func refuseUnknown(members map[string]json.RawMessage, known []string) error {
	var unknown []string
	for name := range members {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	f := invalid()
	for _, name := range unknown {
		_ = f.WithField(printableName(name), "is not a known field; expected: %s", strings.Join(known, ", "))
	}
	return f
}

// printableName keeps a stranger's field name from filling the answer.
func printableName(name string) string {
	const longest = 100
	if len(name) > longest {
		name = name[:longest] + "…"
	}
	return strings.ToValidUTF8(name, "�")
}

func invalid() *fault.Error {
	return fault.New(fault.Invalid, "invalid_request", "the request is not valid")
}

// member decodes an optional member; absent and null leave v as it is.
func member[T any](members map[string]json.RawMessage, name string, kind string, v *T) error {
	raw, ok := members[name]
	if !ok || string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return invalid().WithField(name, "must be %s", kind)
	}
	return nil
}

// gather joins the violations of several faults into one, so that a client
// sees every wrong field at once. The first error of another kind wins.
func gather(errs ...error) error {
	all := invalid()
	for _, err := range errs {
		if err == nil {
			continue
		}
		f := fault.From(err)
		if f.Kind != fault.Invalid || f.Code != all.Code {
			return err
		}
		all.Violations = append(all.Violations, f.Violations...)
	}
	if len(all.Violations) == 0 {
		return nil
	}
	return all
}

// notFound is the answer for an id that can't exist.
func notFound(what, id string) error {
	return fault.New(fault.NotFound, fmt.Sprintf("%s_not_found", what), "there is no %s %s", what, printableName(id))
}
