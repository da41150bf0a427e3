package settings

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/orderport/orderport/host/internal/fault"
)

// Validate reports everything that is wrong with the settings as a whole; Load
// has done so already. Its error is as Load's.
func (s Settings) Validate() error { return s.check().fault() }

func (s Settings) check() problems {
	var wrong problems
	check := func(key string, ok bool, format string, args ...any) {
		if !ok {
			message := withOrigin(fmt.Sprintf(format, args...), s.Origin(key))
			wrong = append(wrong, fault.Violation{Path: key, Message: message})
		}
	}
	check("database_url", isDatabaseURL(s.DatabaseURL), "must start with postgres:// or sqlite:")
	check("payload_url", isLocation(s.PayloadURL), "must be a directory, a file:// URL or an s3:// URL without credentials")
	check("listen", isAddress(s.Listen), "must be HOST:PORT, such as 127.0.0.1:8080")
	check("retry_max", s.RetryMax >= s.RetryMin, "must not be less than retry_min (%s)", s.RetryMin)
	check("host_dead_after", s.HostDeadAfter >= 3*s.HeartbeatInterval,
		"must be at least three times heartbeat_interval (%s)", s.HeartbeatInterval)
	check("encryption_previous_keys", !s.MasterKey.IsZero() || len(s.PreviousKeys) == 0,
		"are set, but encryption_master_key is not")
	return wrong
}

func isDatabaseURL(text string) bool {
	if file, ok := strings.CutPrefix(text, "sqlite:"); ok {
		return file != ""
	}
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return false
	}
	_, err := url.Parse(text)
	return err == nil
}

// hasPassword reports whether a database URL has a password, or can't be
// understood, so that it may have one.
func hasPassword(text string) bool {
	if strings.HasPrefix(text, "sqlite:") {
		return false
	}
	u, err := url.Parse(text)
	if err != nil {
		return true
	}
	_, inUser := u.User.Password()
	return inUser || u.Query().Has("password") || u.Query().Has("sslpassword")
}

func isLocation(text string) bool {
	scheme, _, isURL := strings.Cut(text, "://")
	if !isURL {
		return text != ""
	}
	u, err := url.Parse(text)
	return err == nil && u.User == nil && (scheme == "file" || scheme == "s3")
}

func isAddress(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
