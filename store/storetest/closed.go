package storetest

import (
	"context"
	"testing"

	"ticketgate/store"
)

// testClosed asks a store for everything after it was closed: whoever is late is
// told so, and does not wait for ever.
func testClosed(t *testing.T, open Open) {
	db := one(t, open)
	must(t, db.Close())
	nothing := func(context.Context, *store.Tx) error {
		t.Error("something runs on a closed store")
		return nil
	}
	for name, ask := range map[string]func(context.Context) error{
		"View":   func(ctx context.Context) error { return db.View(ctx, nothing) },
		"Update": func(ctx context.Context) error { return db.Update(ctx, nothing) },
		"Dry":    func(ctx context.Context) error { return db.Dry(ctx, nothing) },
		"Ping":   db.Ping,
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, ask(t.Context()), store.CodeUnavailable, "") })
	}
}
