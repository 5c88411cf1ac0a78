package store

import "context"

// Driver is what store/sqlite and store/postgres implement: sessions on a
// database, its dialect, and the meaning of its errors. Its methods may be
// called from several goroutines at once; a Session belongs to one.
type Driver interface {
	// Begin opens a write transaction. A brief one does not wait for a lock for
	// long: it fails with a Fault that says Again.
	Begin(ctx context.Context, brief bool) (Session, error)
	// Read takes a session for reading from the pool.
	Read(ctx context.Context) (Session, error)
	// Writers tells how many write transactions may usefully run side by side.
	Writers() int
	// Dialect gives the few texts that the databases don't share.
	Dialect() Dialect
	// Classify says what an error of a session means.
	Classify(err error) Fault
	// Scrub removes from the files of the database what was deleted.
	Scrub(ctx context.Context) error
	// Ping tells whether the database answers.
	Ping(ctx context.Context) error
	// Close gives everything back. No session may be open.
	Close() error
}

// Session is one connection, inside a transaction if it came from Begin. It
// ends with Commit or End; either gives the connection back.
type Session interface {
	// Exec runs one statement and tells how many rows it touched.
	Exec(ctx context.Context, sql string, args ...any) (int64, error)
	// Query runs one statement; the rows must be closed before the next one.
	Query(ctx context.Context, sql string, args ...any) (Rows, error)
	// Queue runs a statement whose outcome is not needed yet: at once, or with
	// the next one in a single round trip. A failure may thus come later, but
	// before Savepoint, Release or Commit return.
	Queue(ctx context.Context, sql string, args ...any) error
	// Flush runs what is queued.
	Flush(ctx context.Context) error
	// Savepoint releases the savepoint before, if there is one, and sets one.
	Savepoint(ctx context.Context) error
	// Release releases the savepoint that is set, if there is one.
	Release(ctx context.Context) error
	// RollbackTo undoes what was done since Savepoint. The savepoint stays.
	RollbackTo(ctx context.Context) error
	// Commit makes the transaction durable. It does not listen to a context:
	// a commit under way can't be taken back, and has a time limit of its own.
	Commit() error
	// End undoes what was not committed. It may be called after Commit.
	End()
}

// Rows is a result that is read row by row.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close()
}

// Dialect holds what the two databases say differently.
type Dialect struct {
	// Number is the statement that draws the next ticket number.
	Number string
	// LockRow follows a SELECT whose row is going to be updated.
	LockRow string
	// LockWord waits for the lock of a word, $1, and holds it until the end of
	// the transaction; "" where writers stand in line anyway.
	LockWord string
	// ShareWord is LockWord for those who may hold a word together.
	ShareWord string
	// Index adds to the search index: $1 activity id, $2 a Document.
	Index string
	// Document is how words, parted by single spaces, are indexed.
	Document func(words string) any
	// Unindex takes an activity out of the search index: $1 activity id.
	Unindex string
	// Match is a subquery that gives the ticket numbers which the search
	// expression in the given parameter finds.
	Match func(param string) string
	// Found is Match for the ids of the activities.
	Found func(param string) string
	// Tagged is the condition of a ticket that has the tag in the given
	// parameter.
	Tagged func(param string) string
	// From is the condition of an activity one of whose authors, as its From
	// says, has the address in the given parameter, in whatever case.
	From func(param string) string
	// Phrases makes a search expression out of phrases of such words, each of
	// which must occur.
	Phrases func(phrases []string) string
	// EventPosition are the values of the columns tx and id of a new event.
	EventPosition string
	// EventsSettled is a transaction's number: all events of those before it
	// are committed, or never will be.
	EventsSettled string
	// EventsForeign is the condition of events that no transaction of this
	// database wrote: they came with a copy of another one, where numbers were
	// higher, and would be read among those of a time to come.
	EventsForeign string
	// In gives the condition that a column is in the list of a parameter.
	In func(column, param string) string
	// Strings and Numbers make such a parameter.
	Strings func([]string) any
	Numbers func([]int64) any
}

// Fault is what an error of a driver means.
type Fault struct {
	Code   Code
	Reason string
	// Again: the same work may succeed when it is done anew, for it lost a
	// race for locks, or met a statement planned for an older schema.
	Again bool
	// Lost: the connection is gone and the transaction with it. Where Commit
	// says so, nobody knows whether it took place.
	Lost bool
}
