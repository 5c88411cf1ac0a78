package store

import (
	"context"

	"github.com/pressly/goose/v3"
)

// Migrate brings a schema up to date with what the provider holds. A schema
// that is newer than that is CodeConflict: an older program must not write to
// it. It is called by the drivers.
func Migrate(ctx context.Context, p *goose.Provider, classify func(error) Fault) error {
	fail := func(err error) error {
		f := classify(err)
		return &Error{Code: f.Code, Reason: f.Reason, Message: "bring the schema up to date", Err: err}
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fail(err)
	}
	var known int64
	for _, s := range p.ListSources() {
		known = max(known, s.Version)
	}
	if have > known {
		return Errorf(CodeConflict, "the database has schema %d, and this program knows none beyond %d", have, known)
	}
	if have == known {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fail(err)
	}
	return nil
}
