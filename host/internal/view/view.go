package view

import (
	"encoding/json"
	"time"

	"github.com/orderport/orderport/host/internal/domain"
	"github.com/orderport/orderport/host/internal/fault"
)

// List is one page of a list.
type List[T any] struct {
	Items      []T     `json:"items" nullable:"false" doc:"From new to old."`
	NextCursor *string `json:"next_cursor" doc:"Pass it as cursor to get the next page; null on the last one."`
}

// NewList maps items to their shapes.
func NewList[T, D any](items []D, next string, shape func(D) T) List[T] {
	list := List[T]{Items: make([]T, 0, len(items)), NextCursor: text(next)}
	for _, item := range items {
		list.Items = append(list.Items, shape(item))
	}
	return list
}

// Time formats an instant as the API shows it.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func optionalTime(t *time.Time) *string {
	if t == nil || t.IsZero() {
		return nil
	}
	s := Time(*t)
	return &s
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Problem is a failure, in the form of RFC 9457.
type Problem struct {
	Type       string            `json:"type" doc:"Always about:blank; code tells failures apart." example:"about:blank"`
	Title      string            `json:"title" doc:"The status in words."`
	Status     int               `json:"status" doc:"The HTTP status."`
	Code       string            `json:"code" doc:"Stable name of the failure." example:"connection_exists"`
	Detail     string            `json:"detail" doc:"What went wrong, for a person."`
	Hint       string            `json:"hint,omitempty" doc:"What to do about it."`
	Violations []fault.Violation `json:"violations,omitempty" doc:"Every wrong field, by its path."`
	RequestID  string            `json:"request_id,omitempty" doc:"Names this call in the host's log."`
	Test       *TestResult       `json:"test,omitempty" doc:"The failed test, if test_on_save refused a config."`
}

// NewProblem shows a failure. Causes are for logs and left out; so is the
// message of an internal fault.
func NewProblem(err *fault.Error, title, requestID string) Problem {
	return Problem{
		Type: "about:blank", Title: title, Status: err.Kind.HTTPStatus(), Code: err.Code,
		Detail: err.Message, Hint: err.Hint, Violations: err.Violations, RequestID: requestID,
	}
}

// Organization is a tenant.
type Organization struct {
	ID        string `json:"id" format:"uuid"`
	Slug      string `json:"slug"`
	Name      string `json:"name"`
	CreatedAt string `json:"created_at" format:"date-time"`
}

// NewOrganization shows an organization.
func NewOrganization(o domain.Organization) Organization {
	return Organization{ID: o.ID.String(), Slug: o.Slug, Name: o.Name, CreatedAt: Time(o.CreatedAt)}
}

// Token is an API token. The token itself is there only when it was just made.
type Token struct {
	ID         string  `json:"id" format:"uuid"`
	OrgID      string  `json:"org_id" format:"uuid"`
	Name       string  `json:"name"`
	Role       string  `json:"role"`
	CreatedAt  string  `json:"created_at" format:"date-time"`
	LastUsedAt *string `json:"last_used_at" format:"date-time"`
	RevokedAt  *string `json:"revoked_at" format:"date-time"`
	Token      string  `json:"token,omitempty"`
}

// NewToken shows a token without its secret.
func NewToken(t domain.Token) Token {
	return Token{
		ID: t.ID.String(), OrgID: t.OrgID.String(), Name: t.Name, Role: string(t.Role), CreatedAt: Time(t.CreatedAt),
		LastUsedAt: optionalTime(t.LastUsedAt), RevokedAt: optionalTime(t.RevokedAt),
	}
}

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	ID      string          `json:"id" format:"uuid"`
	OrgID   string          `json:"org_id" format:"uuid"`
	At      string          `json:"at" format:"date-time"`
	Actor   string          `json:"actor" doc:"Who: token:<id>, cli:<user> or host:<name>."`
	Action  string          `json:"action" example:"connection.create"`
	Subject string          `json:"subject" example:"connection:4b2c…"`
	Details json.RawMessage `json:"details" doc:"More about it, or null."`
}

// NewAuditEntry shows an audit entry.
func NewAuditEntry(e domain.AuditEntry) AuditEntry {
	return AuditEntry{
		ID: e.ID.String(), OrgID: e.OrgID.String(), At: Time(e.At),
		Actor: e.Actor, Action: e.Action, Subject: e.Subject, Details: e.Details,
	}
}
