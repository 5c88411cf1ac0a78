package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"ticketgate/store"
)

// classify says what an error means; for SQLSTATE see appendix A of
// PostgreSQL's manual.
func classify(err error) store.Fault {
	_, lost := errors.AsType[*lostError](err)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		f := classifyState(e)
		f.Lost = f.Lost || lost
		return f
	}
	if _, ok := errors.AsType[*rolledBackError](err); ok {
		return store.Fault{Code: store.CodeUnavailable, Again: true}
	}
	if lost || connectionTrouble(err) {
		return store.Fault{Code: store.CodeUnavailable, Lost: true}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return store.Fault{Code: store.CodeUnavailable}
	}
	return store.Fault{Code: store.CodeInternal}
}

// connectionTrouble tells an error of the network, or of connecting.
func connectionTrouble(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok && !errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		pgconn.SafeToRetry(err)
}

func classifyState(e *pgconn.PgError) store.Fault {
	switch e.Code {
	case "23505":
		return store.Fault{Code: store.CodeData, Reason: store.ReasonDuplicate}
	case "40001", "40P01", "55P03": // serialization, deadlock, lock timeout
		return store.Fault{Code: store.CodeUnavailable, Again: true}
	case "53100":
		return store.Fault{Code: store.CodeUnavailable, Reason: store.ReasonDiskFull}
	case "57P01", "57P02", "57P03", "57P05": // the server goes, crashed, comes
		return store.Fault{Code: store.CodeUnavailable, Lost: true}
	case "0A000":
		return store.Fault{Code: store.CodeInternal, Again: strings.Contains(e.Message, "cached plan")}
	}
	switch e.Code[:min(2, len(e.Code))] {
	case "22", "23", "54": // data, integrity, program limits
		return store.Fault{Code: store.CodeData}
	case "08":
		return store.Fault{Code: store.CodeUnavailable, Lost: true}
	case "53", "57", "58", "28", "3D", "25": // resources, operator, system, login, no database, read-only standby
		return store.Fault{Code: store.CodeUnavailable}
	}
	return store.Fault{Code: store.CodeInternal}
}
