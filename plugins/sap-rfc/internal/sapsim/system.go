package sapsim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options make a System. The zero value is a system S4H of release S4 with
// client 100, the user ORDERPORT with the password Sesame-9, and master data
// that knows every key in its internal form.
type Options struct {
	SystemID string
	Client   string
	Host     string
	Release  Release
	Users    []User
	Masters  Masters
	Quirks   Quirks
	// Customer says that the functions of the folder abap are installed.
	Customer bool
	// Own are further functions, or others in the place of known ones.
	Own []Own
	// LockAfter is how many wrong passwords in a row lock a user; 0 is five.
	LockAfter int
	// MaxSessions is how many sessions there may be at a time; 0 is any number.
	MaxSessions int
	// FirstNumber is the first number of a sales order; 0 is 12000.
	FirstNumber int
	// Now is the system's clock; nil is time.Now.
	Now func() time.Time
}

// User is a user of the system.
type User struct {
	Name, Password string
	Locked         bool
	// Denied are functions that the user may not call, and tables that it may
	// not read. DenyMetadata takes the right to ask for parameters of functions.
	Denied       []string
	DenyMetadata bool
}

// Quirks are what is not known for sure of SAP, or differs from one system to
// the next. The zero value is the friendlier guess.
type Quirks struct {
	// EmptyList is what BAPI_SALESORDER_GETLIST says of an empty list: a row's
	// type and code, such as "E" and "V1504". Empty: nothing.
	EmptyListType, EmptyListCode string
	// LockID and LockNumber are the message about a lock; empty is V1 042.
	LockID, LockNumber string
	// MaterialLocks makes a create lock its materials until its unit of work
	// ends.
	MaterialLocks bool
	// EnglishKeys makes the create take order types and partner roles in the
	// form of the logon language also without CONVERT.
	EnglishKeys bool
	// SalesHeaderNames makes RETURN name parameters as SALES_HEADER_IN instead
	// of ORDER_HEADER_IN.
	SalesHeaderNames bool
	// CutLongText makes a value that is too long lose its end. Otherwise it
	// ends the call.
	CutLongText bool
	// UpdateFails makes the update that a commit starts fail.
	UpdateFails bool
	// UpdatesWait holds the updates of a commit without WAIT back until
	// FinishUpdates.
	UpdatesWait bool
	// ReadLag is how many look-ups miss a document after its commit.
	ReadLag int
	// EnhancementCommits makes the create commit by itself, as a customer's
	// enhancement may.
	EnhancementCommits bool
	// OwnNumbers allows SALESDOCUMENTIN.
	OwnNumbers bool
	// TableWithoutData makes RFC_READ_TABLE raise TABLE_WITHOUT_DATA for a field
	// that it does not know, instead of FIELD_NOT_VALID.
	TableWithoutData bool
	// UnflaggedISOLost makes an X structure that flags the field of an internal key
	// not stand for the ISO code beside it: that has no flag, and is not taken.
	UnflaggedISOLost bool
	// AuthorityByCode makes a missing authority the library's code for it,
	// instead of a dump.
	AuthorityByCode bool
	// DateOfBlanks makes an initial date eight blanks.
	DateOfBlanks bool
	Library      LibraryQuirks
}

// LibraryQuirks are what is not known for sure of the RFC library. The library
// in folder sdk hears of them with its logon.
type LibraryQuirks struct {
	// ThreadBound makes a handle invalid on any thread but the one that opened
	// it.
	ThreadBound bool
	// CancelFails makes RfcCancel do nothing but return an error.
	CancelFails bool
	// ShortNumbersRefused makes a NUMC without its leading zeros an error.
	// Otherwise the library fills it up.
	ShortNumbersRefused bool
	// CutsLongText makes RfcSetChars cut what is too long. Otherwise it is an
	// error.
	CutsLongText bool
	// KeepsHandles leaves the handle of a connection that is gone to the caller
	// to close. Otherwise it is free at once, and its value may belong to the
	// next connection.
	KeepsHandles bool
	// DumpsAreMessages makes a short dump code 4 instead of 3.
	DumpsAreMessages bool
}

// System is one simulated SAP system. Its methods can be called concurrently.
type System struct {
	options Options
	stop    chan struct{}

	mu        sync.Mutex
	stopped   bool                 // guarded by mu
	lexicon   *lexicon             // guarded by mu
	quirks    Quirks               // guarded by mu
	users     map[string]*userData // guarded by mu
	sessions  map[*Session]bool    // guarded by mu
	logons    int                  // guarded by mu
	next      int                  // guarded by mu; number range of sales orders
	documents []*Document          // guarded by mu; what the database holds
	updates   []*Document          // guarded by mu; committed without WAIT
	locks     map[string]lock      // guarded by mu; by object
	calls     map[string]int       // guarded by mu; by function
	busy      int                  // guarded by mu; calls under way
	faults    []*Planned           // guarded by mu
}

type userData struct {
	User
	wrong int // wrong passwords in a row
	tries int
}

// lock is held by a session, or by a user at a screen if that is nil.
type lock struct {
	session *Session
	user    string
}

// New makes a System. Close it at the end.
func New(o Options) *System {
	o.SystemID = cmp.Or(o.SystemID, "S4H")
	o.Client = cmp.Or(o.Client, "100")
	o.Host = cmp.Or(o.Host, "sapsim")
	o.LockAfter = cmp.Or(o.LockAfter, 5)
	o.FirstNumber = cmp.Or(o.FirstNumber, 12000)
	if o.Release.Name == "" {
		o.Release = S4
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Users) == 0 {
		o.Users = []User{{Name: "ORDERPORT", Password: "Sesame-9"}}
	}
	s := &System{
		options: o, lexicon: newLexicon(o.Release, o.Customer, o.Own), stop: make(chan struct{}), quirks: o.Quirks,
		users: make(map[string]*userData), sessions: make(map[*Session]bool), next: o.FirstNumber,
		locks: make(map[string]lock), calls: make(map[string]int),
	}
	for _, u := range o.Users {
		s.users[strings.ToUpper(u.Name)] = &userData{User: u}
	}
	return s
}

// Close ends what hangs. Every call fails from then on.
func (s *System) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.stopped = true
		close(s.stop)
	}
}

// Quirks returns the switches.
func (s *System) Quirks() Quirks {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quirks
}

// SetQuirks changes the switches for what comes from now on.
func (s *System) SetQuirks(q Quirks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quirks = q
}

// Upgrade makes the system another release.
func (s *System) Upgrade(to Release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Release = to
	s.lexicon = newLexicon(to, s.options.Customer, s.options.Own)
}

func (s *System) function(name string) *Function {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lexicon.functions[name]
}

// Document is a sales order in the database, field by field as the create took
// it: without what an X structure did not flag, and with the internal keys of
// units and currencies beside ISO codes.
type Document struct {
	Number     string // ten digits
	User       string
	Created    time.Time
	Incomplete bool // items with errors were dropped
	Header     Row
	Items      []Row
	Schedules  []Row
	Partners   []Row
	Conditions []Row
	Texts      []Row
	// By is the function that created it, and Given its call, as it came.
	By    string
	Given Parameters

	unseen int // look-ups that miss it
}

// Documents returns the database's sales orders, by number.
func (s *System) Documents() []Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Document, len(s.documents))
	for i, d := range s.documents {
		list[i] = *d
	}
	slices.SortFunc(list, func(a, b Document) int { return strings.Compare(a.Number, b.Number) })
	return list
}

// NumbersUsed says how many numbers the range has given out, saved or not.
func (s *System) NumbersUsed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next - s.options.FirstNumber
}

// Calls says how often a function was called.
func (s *System) Calls(function string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[function]
}

// Busy says how many calls SAP is working on, also those of sessions that have
// ended.
func (s *System) Busy() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy
}

func (s *System) underWay(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy += more
}

// Sessions says how many sessions there are.
func (s *System) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Logons says how many logons were let in.
func (s *System) Logons() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logons
}

// LogonTries says how often a user has tried to log on, and whether SAP has
// locked it.
func (s *System) LogonTries(user string) (tries int, locked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[strings.ToUpper(user)]
	if u == nil {
		return 0, false
	}
	return u.tries, u.Locked
}

// FinishUpdates carries out what was committed without WAIT.
func (s *System) FinishUpdates() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.quirks.UpdateFails {
		s.documents = append(s.documents, s.updates...)
	}
	s.updates = nil
}

// LockMaterial makes a user at a screen hold a material, until the function
// that it returns is called. The number is in its internal form.
func (s *System) LockMaterial(material, user string) (unlock func()) {
	return s.hold("material "+material, user)
}

// LockCustomer is LockMaterial for a customer.
func (s *System) LockCustomer(customer, user string) (unlock func()) {
	return s.hold("customer "+customer, user)
}

func (s *System) hold(object, user string) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks[object] = lock{user: user}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.locks, object)
	}
}

// KillSessions ends every session as an administrator does: their work is lost
// and their connections drop. It returns how many there were.
func (s *System) KillSessions() int {
	s.mu.Lock()
	list := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	for _, session := range list {
		session.kill()
	}
	return len(list)
}

func number(n int) string { return fmt.Sprintf("%010d", n) }
