package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"ticketgate/store"
)

// classify says what an error means; www.sqlite.org/rescode.html.
func classify(err error) store.Fault {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return store.Fault{Code: store.CodeUnavailable, Reason: store.ReasonDiskFull}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return store.Fault{Code: store.CodeUnavailable}
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		if _, ok := errors.AsType[syscall.Errno](err); ok {
			return store.Fault{Code: store.CodeUnavailable}
		}
		return store.Fault{Code: store.CodeInternal}
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return store.Fault{Code: store.CodeData, Reason: store.ReasonDuplicate}
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return store.Fault{Code: store.CodeData}
	case sqlite3.SQLITE_FULL:
		return store.Fault{Code: store.CodeUnavailable, Reason: store.ReasonDiskFull}
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT,
		sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return store.Fault{Code: store.CodeUnavailable}
	}
	return store.Fault{Code: store.CodeInternal}
}

// asJSON writes a list for json_each.
func asJSON[T string | int64](list []T) string {
	b, err := json.Marshal(list)
	if err != nil {
		return "[]" // can't be: these always have a JSON form
	}
	return string(b)
}
