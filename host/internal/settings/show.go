package settings

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/orderport/orderport/host/internal/seal"
)

// Setting is one setting as it may be shown: secrets are left out.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

// List returns all settings as they may be shown.
func (s Settings) List() []Setting {
	fields := Fields()
	list := make([]Setting, len(fields))
	for i, f := range fields {
		list[i] = Setting{Key: f.Key, Value: f.show(&s), Origin: s.Origin(f.Key)}
	}
	return list
}

// show returns the value as text, without anything secret: keys are shown by
// their fingerprints.
func (f Field) show(s *Settings) string {
	switch t := f.target(s).(type) {
	case *string:
		if f.Key == "database_url" {
			return redactURL(*t)
		}
		return *t
	case *seal.Key:
		if t.IsZero() {
			return ""
		}
		return t.String()
	case *[]seal.Key:
		ids := make([]string, len(*t))
		for i, key := range *t {
			ids[i] = key.String()
		}
		return strings.Join(ids, ",")
	case fmt.Stringer:
		return t.String()
	case *int:
		return fmt.Sprint(*t)
	default:
		panic(fmt.Sprintf("settings: no way to show a %T", t))
	}
}

// redactURL leaves out the password of a database URL, and all parameters,
// since there are several that can hold one.
func redactURL(text string) string {
	if strings.HasPrefix(text, "sqlite:") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "(not readable)"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

// String lists all settings without secrets.
func (s Settings) String() string {
	var b strings.Builder
	for i, setting := range s.List() {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%q", setting.Key, setting.Value)
	}
	return b.String()
}

// GoString is String, so that %#v shows no secret either.
func (s Settings) GoString() string { return s.String() }

// LogValue has all settings without secrets.
func (s Settings) LogValue() slog.Value {
	list := s.List()
	attrs := make([]slog.Attr, len(list))
	for i, setting := range list {
		attrs[i] = slog.String(setting.Key, setting.Value)
	}
	return slog.GroupValue(attrs...)
}
