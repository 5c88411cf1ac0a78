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
	// Searcher looks into the search index.
	Searcher() Searcher
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

// Searcher asks the search index what can't be asked in one text for both
// databases. An expression is one that the dialect's Phrases made.
type Searcher interface {
	// Few finds what matches, where no more than limit activities do. A guess may
	// say that there are more, where to count them would take long. With within, a
	// SELECT of ticket numbers whose arguments are numbered from $2 on, only the
	// activities of those tickets count.
	Few(ctx context.Context, s Session, expression string, limit int, guess bool, within string, args ...any) (Hits, error)
	// Tickets gives those of some tickets of which an activity matches, each
	// once, in any order.
	Tickets(ctx context.Context, s Session, expression string, of []int64) ([]int64, error)
	// Activities gives the ids of those of some activities that match, likewise.
	Activities(ctx context.Context, s Session, expression string, of []Searched) ([]string, error)
}

// Hits are the activities that an expression matches.
type Hits struct {
	Few bool // what follows is there
	// SELECTs of the numbers of their tickets, and of their ids; each ? stands
	// for an argument.
	Tickets, IDs string
	Args         []any
}

// Searched is an activity in the search index.
type Searched struct {
	ID       string
	Position int64 // by which the index knows it, where it has a number
}

// ReadAll reads the rows of a query on a session, each with scan.
func ReadAll[T any](ctx context.Context, s Session, scan func(Rows, *T) error, sql string, args ...any) ([]T, error) {
	rows, err := s.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := scan(rows, &one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// ReadColumn is ReadAll of a single column.
func ReadColumn[T any](ctx context.Context, s Session, sql string, args ...any) ([]T, error) {
	return ReadAll(ctx, s, func(r Rows, one *T) error { return r.Scan(one) }, sql, args...)
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
	// MoveIndex has the index know which ticket an activity, $1, is of now; "" where
	// the activity says that itself.
	MoveIndex string
	// Position is the column of the activities that Searched has.
	Position string
	// Reorder is whether what comes of a subquery in its order need not stay in it:
	// the order is then asked for again, which costs nothing where it stayed.
	Reorder bool
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
