package recipes

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/orderport/orderport/sdk"
)

// jobs hands an order in as a job, and asks later how it came out. A slow ERP
// then occupies neither an attempt nor one of the connection's places.
type jobs struct{}

var _ sdk.Resumer = jobs{}

func (jobs) Describe() sdk.Description { return describe("RECIPE_JOBS") }

func (jobs) TestConnection(ctx context.Context, req sdk.TestRequest) (sdk.TestResult, error) {
	return ping(ctx, req)
}

// askAgain is how long the ERP is left in peace.
const askAgain = 30 * time.Second

// handedIn is the checkpoint. The name of the job is ours, so that it is known
// before there is a job.
type handedIn struct {
	Job string `json:"job"`
}

var handIns = sdk.Checkpoints[handedIn]{Version: 1}

func (jobs) Export(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	body, err := store(ctx, req)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	if err := handIns.Save(ctx, req, handedIn{req.ExportID}, req.ExportID); err != nil {
		return sdk.ExportResult{}, err
	}
	return sdk.ExportResult{}, submit(ctx, req, req.ExportID, body)
}

// submit creates the job under its name; doing that twice makes one job. The
// error says: come back.
func submit(ctx context.Context, req *sdk.ExportRequest, job string, body []byte) error {
	if err := call(ctx, req.Connection, http.MethodPut, "/jobs/"+url.PathEscape(job), body, nil); err != nil {
		return err
	}
	return later()
}

func later() error {
	e := sdk.Errorf(sdk.Throttled, "the ERP is working on the order")
	e.RetryAfter = askAgain
	return e
}

func (jobs) ResumeExport(ctx context.Context, req *sdk.ExportRequest) (sdk.ExportResult, error) {
	saved, _, err := handIns.Load(req)
	if err != nil {
		return sdk.ExportResult{}, err
	}
	var job struct {
		State  string `json:"state"`
		Number string `json:"number"`
		Reason string `json:"reason"`
	}
	err = call(ctx, req.Connection, http.MethodGet, "/jobs/"+url.PathEscape(saved.Job), nil, &job)
	switch {
	case err != nil && sdk.CodeOf(err) == sdk.NotFound: // it never got there
		body, err := store(ctx, req)
		if err != nil {
			return sdk.ExportResult{}, err
		}
		return sdk.ExportResult{}, submit(ctx, req, saved.Job, body)
	case err != nil:
		return sdk.ExportResult{}, unanswered(err)
	case job.State == "done":
		return sdk.ExportResult{ExternalRef: saved.Job, ERPOrderID: job.Number}, nil
	case job.State == "failed":
		return sdk.ExportResult{}, sdk.Errorf(sdk.RejectedByERP, "the ERP refused the order: %s", job.Reason)
	}
	return sdk.ExportResult{}, later()
}
