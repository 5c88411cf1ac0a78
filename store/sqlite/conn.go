package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"

	"ticketgate/store"
)

// maxStatements is how many prepared statements a connection keeps.
const maxStatements = 400

// conn is one connection with its prepared statements, on the driver itself:
// database/sql would cost more than the statements that the intake runs. It
// belongs to one goroutine at a time.
type conn struct {
	c          rawConn
	statements map[string]rawStatement
}

// rawConn and rawStatement are what the driver's types can do.
type rawConn interface {
	driver.Conn
	driver.ConnPrepareContext
}

type rawStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func dial(dsn string) (*conn, error) {
	c, err := (&sqlite.Driver{}).Open(dsn)
	if err != nil {
		return nil, err
	}
	raw, ok := c.(rawConn)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver can't prepare statements"), c.Close())
	}
	return &conn{c: raw, statements: map[string]rawStatement{}}, nil
}

func (c *conn) close() error {
	err := c.forget()
	return errors.Join(err, c.c.Close())
}

// forget gives all statements back.
func (c *conn) forget() error {
	var errs []error
	for _, s := range c.statements {
		errs = append(errs, s.Close())
	}
	clear(c.statements)
	return errors.Join(errs...)
}

// statement prepares a text once.
func (c *conn) statement(ctx context.Context, text string) (rawStatement, error) {
	if s, ok := c.statements[text]; ok {
		return s, nil
	}
	if len(c.statements) >= maxStatements {
		if err := c.forget(); err != nil {
			return nil, err
		}
	}
	prepared, err := c.c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(rawStatement)
	if !ok {
		return nil, errors.Join(errors.New("the SQLite driver's statements take no context"), prepared.Close())
	}
	c.statements[text] = s
	return s, nil
}

func (c *conn) exec(ctx context.Context, text string, args ...any) (int64, error) {
	s, err := c.statement(ctx, text)
	if err != nil {
		return 0, err
	}
	values, err := bind(args)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(ctx, values)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (c *conn) query(ctx context.Context, text string, args ...any) (store.Rows, error) {
	s, err := c.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	values, err := bind(args)
	if err != nil {
		return nil, err
	}
	r, err := s.QueryContext(ctx, values)
	if err != nil {
		return nil, err
	}
	return &rows{rows: r, row: make([]driver.Value, len(r.Columns()))}, nil
}

// bind makes the driver's values of the few types that the store uses.
func bind(args []any) ([]driver.NamedValue, error) {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		v := driver.NamedValue{Ordinal: i + 1}
		switch a := a.(type) {
		case string, int64, bool:
			v.Value = a
		case int:
			v.Value = int64(a)
		case []byte:
			if a != nil {
				v.Value = a
			}
		default:
			return nil, fmt.Errorf("argument %d is a %T", i+1, a)
		}
		values[i] = v
	}
	return values, nil
}

// rows implements store.Rows.
type rows struct {
	rows driver.Rows
	row  []driver.Value
	err  error
}

func (r *rows) Next() bool {
	if r.err != nil {
		return false
	}
	r.err = r.rows.Next(r.row)
	return r.err == nil
}

func (r *rows) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

func (r *rows) Close() {
	if err := r.rows.Close(); err != nil && r.err == nil {
		r.err = err
	}
}

func (r *rows) Scan(dest ...any) error {
	if len(dest) != len(r.row) {
		return fmt.Errorf("%d columns into %d variables", len(r.row), len(dest))
	}
	for i, d := range dest {
		if !assign(d, r.row[i]) {
			return fmt.Errorf("column %d: %T into %T", i+1, r.row[i], d)
		}
	}
	return nil
}

// assign puts a column's value into a variable; false where that can't be.
func assign(dest any, v driver.Value) (ok bool) {
	switch d := dest.(type) {
	case *string:
		*d, ok = v.(string)
	case *int64:
		*d, ok = v.(int64)
	case *int:
		var n int64
		n, ok = v.(int64)
		*d = int(n)
	case *bool:
		var n int64
		if *d, ok = v.(bool); !ok {
			n, ok = v.(int64)
			*d = n != 0
		}
	case *[]byte:
		*d, ok = v.([]byte)
		ok = ok || v == nil
	case sql.Scanner:
		ok = d.Scan(v) == nil
	}
	return ok
}
