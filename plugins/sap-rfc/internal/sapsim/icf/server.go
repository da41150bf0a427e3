package icf

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/orderport/orderport/plugins/sap-rfc/internal/sapsim"
)

// Path is where the service is.
const Path = "/sap/bc/soap/rfc"

// Options say how the service behaves where releases or systems differ, or
// where it is not known for sure. The zero value is the likelier guess.
type Options struct {
	// Inactive makes the service answer 403, as before it is activated.
	Inactive bool
	// DashedDates makes requests give dates as YYYY-MM-DD. Otherwise it is
	// YYYYMMDD.
	DashedDates bool
	// Prefix is the namespace prefix of answers; empty is urn.
	Prefix string
	// ExceptionStatus is the HTTP status of an ABAP exception; 0 is 500.
	ExceptionStatus int
	// PlainException writes an exception's name as the text of its element.
	// Otherwise it is in an element of its own.
	PlainException bool
	// SessionTimeout is how long a security session lives without a request; 0
	// is half an hour.
	SessionTimeout time.Duration
	// Now is the server's clock; nil is time.Now.
	Now func() time.Time
}

// Server serves one system. It is an http.Handler; TLS is its caller's.
type Server struct {
	system  *sapsim.System
	options Options

	mu       sync.Mutex
	sessions map[string]*security // guarded by mu; by cookie
}

// security is what a cookie stands for.
type security struct {
	logon sapsim.Logon
	used  time.Time
}

var _ http.Handler = (*Server)(nil)

// New makes a Server.
func New(system *sapsim.System, o Options) *Server {
	o.Prefix = cmp.Or(o.Prefix, "urn")
	o.ExceptionStatus = cmp.Or(o.ExceptionStatus, http.StatusInternalServerError)
	o.SessionTimeout = cmp.Or(o.SessionTimeout, 30*time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Server{system: system, options: o, sessions: make(map[string]*security)}
}

// SecuritySessions says how many security sessions are open.
func (s *Server) SecuritySessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	return len(s.sessions)
}

// EndSecuritySessions makes every cookie invalid.
func (s *Server) EndSecuritySessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

func (s *Server) expire() {
	for cookie, session := range s.sessions {
		if s.options.Now().Sub(session.used) >= s.options.SessionTimeout {
			delete(s.sessions, cookie)
		}
	}
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != Path:
		page(w, http.StatusNotFound, "Not found")
		return
	case s.options.Inactive:
		page(w, http.StatusForbidden, "Service is not active")
		return
	case r.Method != http.MethodPost:
		page(w, http.StatusMethodNotAllowed, "Only POST")
		return
	}
	session, err := s.logon(w, r)
	var refused *sapsim.Failure
	switch {
	case errors.As(err, &refused) && refused.Kind == sapsim.LogonRefused:
		w.Header().Set("WWW-Authenticate", `Basic realm="SAP NetWeaver Application Server"`)
		page(w, http.StatusUnauthorized, "Logon failed")
		return
	case errors.As(err, &refused):
		page(w, http.StatusServiceUnavailable, "Service is not available")
		return
	case err != nil:
		drop(w)
		return
	}
	defer session.Close() // and with it what was not committed
	s.call(w, r, session)
}

// logon opens the session of one request: by a cookie that is valid, or else
// by user and password.
func (s *Server) logon(w http.ResponseWriter, r *http.Request) (*sapsim.Session, error) {
	id := s.system.Identity()
	name := "SAP_SESSIONID_" + id.SystemID + "_" + id.Client
	if known, ok := s.known(r, name); ok {
		return s.system.Logon(r.Context(), known)
	}
	user, password, _ := r.BasicAuth()
	logon := sapsim.Logon{
		Client: r.URL.Query().Get("sap-client"), User: user, Password: password,
		Language: r.URL.Query().Get("sap-language"),
	}
	session, err := s.system.Logon(r.Context(), logon)
	if err != nil {
		return nil, err
	}
	cookie := rand.Text()
	s.mu.Lock()
	s.sessions[cookie] = &security{logon: logon, used: s.options.Now()}
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: name, Value: cookie, Path: "/", Secure: r.TLS != nil, HttpOnly: true})
	return session, nil
}

func (s *Server) known(r *http.Request, name string) (sapsim.Logon, bool) {
	cookie, err := r.Cookie(name)
	if err != nil {
		return sapsim.Logon{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	found := s.sessions[cookie.Value]
	if found == nil {
		return sapsim.Logon{}, false
	}
	found.used = s.options.Now()
	return found.logon, true
}

// call runs the function that a request names.
func (s *Server) call(w http.ResponseWriter, r *http.Request, session *sapsim.Session) {
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "text/xml" {
		s.fault(w, "the content type is not text/xml")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 32<<20))
	if err != nil {
		drop(w)
		return
	}
	name, element, err := function(body)
	if err != nil {
		s.fault(w, err.Error())
		return
	}
	f, ok := s.system.Describe(name)
	if !ok {
		s.fault(w, fmt.Sprintf("Function module %s not found", name))
		return
	}
	in, err := decode(element, f, s.options.DashedDates)
	if err != nil {
		s.fault(w, err.Error())
		return
	}
	out, err := session.Call(r.Context(), name, in)
	var failure *sapsim.Failure
	switch {
	case err == nil:
		answer(w, http.StatusOK, s.response(f, out))
	case errors.As(err, &failure) && failure.Kind == sapsim.Exception:
		s.exception(w, name, failure.Key)
	case errors.As(err, &failure):
		s.fault(w, failure.Message)
	default:
		drop(w)
	}
}

func page(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html><html><head><title>%s</title></head><body><h1>%s<br></body></html>", title, title)
}

// drop cuts the connection without an answer.
func drop(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = conn.Close()
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="`+envelope+`"><SOAP-ENV:Body>`+body+`</SOAP-ENV:Body></SOAP-ENV:Envelope>`)
}

// fault is what the service answers when a function could not run, or not to
// its end. The text that tells something is not where one looks first.
func (s *Server) fault(w http.ResponseWriter, message string) {
	answer(w, http.StatusInternalServerError, `<SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring xml:lang="en">Error when processing the request</faultstring><detail>`+
		`<rfc:Error xmlns:rfc="`+namespace+`"><type>CX_SOAP_CORE</type><message>`+escape(message)+`</message></rfc:Error></detail></SOAP-ENV:Fault>`)
}

func (s *Server) exception(w http.ResponseWriter, function, key string) {
	if !s.options.PlainException {
		key = "<Name>" + key + "</Name>"
	}
	name := "rfc:" + strings.ReplaceAll(function, "/", "_-") + ".Exception"
	answer(w, s.options.ExceptionStatus, "<"+name+` xmlns:rfc="`+namespace+`">`+key+"</"+name+">")
}
