package store

import (
	"net/url"
	"strings"

	"github.com/orderport/orderport/host/internal/fault"
)

// DatabaseKind is a kind of database.
type DatabaseKind string

// The kinds.
const (
	PostgreSQL DatabaseKind = "postgres"
	SQLite     DatabaseKind = "sqlite"
)

// DatabaseURL says where the database is.
type DatabaseURL struct {
	Kind DatabaseKind
	// URL is the whole connection string of a PostgreSQL database. It may hold
	// a password: never log it, use String.
	URL string
	// Path is the file of an SQLite database.
	Path string
}

// String returns the address without password.
func (d DatabaseURL) String() string {
	if d.Kind == SQLite {
		return "sqlite:" + d.Path
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return "postgres://…"
	}
	// Parameters may hold a password too.
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

// ParseDatabaseURL reads a DATABASE_URL: postgres://…, postgresql://…, or
// sqlite:FILE. Its error never repeats the text, which may hold a password.
func ParseDatabaseURL(text string) (DatabaseURL, error) {
	scheme, rest, found := strings.Cut(text, ":")
	if !found {
		return DatabaseURL{}, badDatabaseURL("it has no scheme")
	}
	switch strings.ToLower(scheme) {
	case "postgres", "postgresql":
		return parsePostgresURL(text)
	case "sqlite":
		return parseSQLiteURL(rest)
	default:
		return DatabaseURL{}, badDatabaseURL("its scheme is not known")
	}
}

func parsePostgresURL(text string) (DatabaseURL, error) {
	u, err := url.Parse(text)
	if err != nil {
		// The parser's error quotes the text.
		return DatabaseURL{}, badDatabaseURL("it is not a well-formed URL; special characters in the password must be percent-encoded")
	}
	if u.Opaque != "" {
		return DatabaseURL{}, badDatabaseURL("after the scheme come two slashes")
	}
	return DatabaseURL{Kind: PostgreSQL, URL: text}, nil
}

func parseSQLiteURL(rest string) (DatabaseURL, error) {
	path := rest
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		// sqlite:///abs/path is common elsewhere; sqlite://relative is too easily a slip.
		if !strings.HasPrefix(after, "/") {
			return DatabaseURL{}, badDatabaseURL("after sqlite: comes a file name, not a host")
		}
		path = after
	}
	switch {
	case path == "":
		return DatabaseURL{}, badDatabaseURL("the file name is empty")
	case strings.HasPrefix(path, ":memory:"):
		return DatabaseURL{}, badDatabaseURL("a database in memory would lose accepted orders")
	case strings.ContainsAny(path, "?\x00"):
		return DatabaseURL{}, badDatabaseURL("the file name must not contain a question mark or a null byte; it takes no parameters")
	}
	return DatabaseURL{Kind: SQLite, Path: path}, nil
}

func badDatabaseURL(why string) error {
	return fault.New(fault.Malformed, "bad_database_url", "the database URL can't be used: %s", why).
		WithField("DATABASE_URL", "%s", why).
		WithHint("use postgres://user:password@host:5432/database or sqlite:FILE")
}
