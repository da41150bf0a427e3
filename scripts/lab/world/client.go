package world

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Export is the part of an export's JSON that the world looks at.
type Export struct {
	ID           string     `json:"id"`
	DraftOrderID string     `json:"draft_order_id"`
	ConnectionID string     `json:"connection_id"`
	Status       string     `json:"status"`
	StorageKey   string     `json:"storage_key"`
	DropzonePath string     `json:"dropzone_path"`
	ExternalRef  string     `json:"external_ref"`
	ERPOrderID   string     `json:"erp_order_id"`
	RetryOf      string     `json:"retry_of"`
	AttemptCount int        `json:"attempt_count"`
	CreatedAt    time.Time  `json:"created_at"`
	UpdatedAt    time.Time  `json:"updated_at"`
	SentAt       *time.Time `json:"sent_at"`
	Error        *ErrorBody `json:"error"`
	Attempts     []Attempt  `json:"attempts"` // only where one export is read
}

// Attempt is one run of an export by a connector.
type Attempt struct {
	Number    int        `json:"number"`
	Host      string     `json:"host"`
	StartedAt time.Time  `json:"started_at"`
	Outcome   string     `json:"outcome"`
	Error     *ErrorBody `json:"error"`
	Recovered bool       `json:"recovered"`
}

// Connection is the part of a connection's JSON that the world looks at.
type Connection struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Health struct {
		State  string     `json:"state"`
		Code   string     `json:"code"`
		Reason string     `json:"reason"`
		Since  *time.Time `json:"since"`
	} `json:"health"`
}

// ErrorBody is why an export failed or waits.
type ErrorBody struct {
	Code    string            `json:"code"`
	Message string            `json:"message"`
	Details map[string]string `json:"details"`
}

// StatusError is an API answer that is no success.
type StatusError struct {
	Status int
	Body   string
}

// Error returns status and body.
func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Body) }

// Client calls the API of one host.
type Client struct {
	URL, Token string
	HTTP       *http.Client
}

// Client returns a client of the host with the installation's token.
func (h *Host) Client() *Client { return h.ClientWith(h.in.Token) }

// ClientWith returns a client with another token.
func (h *Host) ClientWith(token string) *Client {
	return &Client{URL: h.URL, Token: token, HTTP: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// Call sends body, which is JSON unless it is a reader, and decodes the answer
// into out unless that is nil. It returns the status.
func (c *Client) Call(ctx context.Context, method, path string, body, out any) (int, error) {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err
	}
	if resp.StatusCode >= 300 {
		return resp.StatusCode, &StatusError{resp.StatusCode, string(raw)}
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(raw, out)
}

func (c *Client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var reader io.Reader
	contentType := "application/json"
	switch b := body.(type) {
	case nil:
	case io.Reader:
		reader, contentType = b, "application/x-ndjson"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, reader)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	req.Header.Set("Content-Type", contentType)
	return c.HTTP.Do(req)
}

// CreateConnection makes an active connection and returns its id.
func (c *Client) CreateConnection(ctx context.Context, connectorType string, config any) (string, error) {
	var made struct{ ID string }
	_, err := c.Call(ctx, http.MethodPost, "/api/v1/connections",
		map[string]any{"connector_type": connectorType, "config": config, "test_on_save": false}, &made)
	return made.ID, err
}

// Push hands in one order and returns its export.
func (c *Client) Push(ctx context.Context, order json.RawMessage) (Export, error) {
	var e Export
	_, err := c.Call(ctx, http.MethodPost, "/api/v1/exports", map[string]any{"draft_order": order}, &e)
	return e, err
}

// Export reads one export with its attempts.
func (c *Client) Export(ctx context.Context, id string) (Export, error) {
	var e Export
	_, err := c.Call(ctx, http.MethodGet, "/api/v1/exports/"+id, nil, &e)
	return e, err
}

// Connection reads one connection.
func (c *Client) Connection(ctx context.Context, id string) (Connection, error) {
	var conn Connection
	_, err := c.Call(ctx, http.MethodGet, "/api/v1/connections/"+id, nil, &conn)
	return conn, err
}

// BatchLine is one answer of the batch call.
type BatchLine struct {
	Line   int `json:"line"`
	Status int `json:"status"`
	Export *struct {
		ID string `json:"id"`
	} `json:"export"` // the rest is for those who ask for it
	Error json.RawMessage `json:"error"`
}

// PushBatch hands in orders, one a line, and returns one answer a line.
func (c *Client) PushBatch(ctx context.Context, ndjson io.Reader) ([]BatchLine, error) {
	resp, err := c.send(ctx, http.MethodPost, "/api/v1/exports:batch", ndjson)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		raw, _ := io.ReadAll(resp.Body)
		return nil, &StatusError{resp.StatusCode, string(raw)}
	}
	var lines []BatchLine
	scan := bufio.NewScanner(resp.Body)
	scan.Buffer(nil, 8<<20)
	for scan.Scan() {
		var l BatchLine
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			return lines, err
		}
		lines = append(lines, l)
	}
	return lines, scan.Err()
}

// Exports lists all exports that match the query, page by page.
func (c *Client) Exports(ctx context.Context, query url.Values) ([]Export, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", "500")
	var all []Export
	for {
		var page struct {
			Items      []Export `json:"items"`
			NextCursor string   `json:"next_cursor"`
		}
		if _, err := c.Call(ctx, http.MethodGet, "/api/v1/exports?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.NextCursor == "" {
			return all, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

// Payload returns the stored bytes of an export.
func (c *Client) Payload(ctx context.Context, id string) ([]byte, error) {
	resp, err := c.send(ctx, http.MethodGet, "/api/v1/exports/"+id+"/payload", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &StatusError{resp.StatusCode, string(raw)}
	}
	return raw, err
}

// CountByStatus counts the exports of the organization.
func (c *Client) CountByStatus(ctx context.Context) (map[string]int, error) {
	all, err := c.Exports(ctx, nil)
	counts := map[string]int{}
	for _, e := range all {
		counts[e.Status]++
	}
	return counts, err
}
