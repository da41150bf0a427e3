package sdk

import "context"

// Connector delivers orders into one kind of ERP. Its methods are called
// concurrently, and for several connections at once: nothing about one
// connection may be kept where a call for another could see it. When the
// context of a call ends, the call returns within a second (EXP-14).
//
// CONTRACT.md of module proto says what a connector must do. Ids such as EXP-07
// are those of its clauses; the conformance checks name them, too.
type Connector interface {
	// Describe says who the connector is and what it can do. It is called
	// once, before anything else, and needs no config and no network (DSC-01).
	Describe() Description

	// TestConnection tries a config against the real target and leaves nothing
	// permanent there. An error means that the test failed; the steps in the
	// result are shown in either case (TST-01, TST-03). See Steps.
	TestConnection(ctx context.Context, req TestRequest) (TestResult, error)

	// Export runs one attempt to deliver one order. It returns nil once the ERP
	// has the order, visibly and durably (EXP-06), and only once however many
	// attempts it takes (EXP-07).
	//
	// An *Error is passed to the host as it is. A *RefusedError from the
	// request's own methods should be returned; it becomes a retryable
	// INTERNAL error. After the context has ended, and after a panic, the host
	// is told that the outcome is unknown. Any other error gets the code that
	// CodeOf recognizes, otherwise INTERNAL, and is retryable. Where such an error leaves it open whether the ERP has the
	// order, the host is told so: that is after a checkpoint for an INTERNAL
	// one, and without Description.Resume for all but a failed dial.
	Export(ctx context.Context, req *ExportRequest) (ExportResult, error)
}

// Resumer is implemented by a connector that keeps the two cases of an export
// apart. The host then knows the capability by itself, as with
// Description.Resume.
type Resumer interface {
	// ResumeExport is called instead of Export when an earlier attempt has
	// saved a checkpoint: the visible step may have been made. It finds out, and
	// either returns success with ExportResult.Recovered or makes the step. Where
	// it can't find out, it returns an OUTCOME_UNKNOWN error. Otherwise all that
	// is said of Export holds.
	ResumeExport(ctx context.Context, req *ExportRequest) (ExportResult, error)
}

// Description is a connector's identity card.
type Description struct {
	// Type is what connections name, such as "DROPZONE_JSON_V1": an upper-case
	// letter, then upper-case letters, digits and underscores, at most 63.
	Type string
	// Name is for people, such as "Dropzone (JSON files)".
	Name string
	// Version is the semantic version of the binary, without a leading "v".
	Version string
	// Vendor makes and answers for the connector.
	Vendor string
	// Summary says in one sentence what it delivers and where.
	Summary string
	// DocumentationURL may be empty.
	DocumentationURL string
	// ConfigSchema is the JSON Schema 2020-12 of the config. Its root is an
	// object with "additionalProperties": false; secrets are strings with
	// "writeOnly": true. Package configschema says more.
	ConfigSchema []byte
	// FormatVersions are the export formats that the connector can write, the
	// preferred one first.
	FormatVersions []string
	// Resume says that an export whose last attempt ended unknown may be run
	// again: the connector saves a checkpoint before the visible step, and
	// finds out from it, or from the target, what has happened. A Resumer need
	// not say so.
	Resume bool
	// Fenced says that a stale attempt can do no harm: the visible step of two
	// attempts with the same checkpoint takes effect at most once, however
	// late the first one is. Only together with Resume.
	Fenced bool
	// Limits are bounds that the host keeps to.
	Limits Limits
}

// Limits are upper bounds that a connector asks the host to keep. Zero: the
// host's default.
type Limits struct {
	// MaxInFlightPerConnection bounds concurrent exports of one connection, over
	// all hosts; each host may always run one.
	MaxInFlightPerConnection int
	// MaxPerMinutePerConnection bounds the exports of one connection that begin
	// within a minute, over all hosts. The host spreads them evenly.
	MaxPerMinutePerConnection int
	// MaxInFlight bounds concurrent exports of the whole process.
	MaxInFlight int
	// MaxPayloadBytes is the largest payload that can be delivered.
	MaxPayloadBytes int64
}

// FormatOrderflowJSONV1 is the export format that the host asks for by
// default.
const FormatOrderflowJSONV1 = "orderflow_export_json_v1"

// TestRequest names the config to try.
type TestRequest struct {
	// Connection has no ID while it has not been saved.
	Connection Connection
}

// TestResult is what a test found. Whether it succeeded is said by the error
// that comes with it.
type TestResult struct {
	// Steps in the order in which they were tried.
	Steps []TestStep
}
