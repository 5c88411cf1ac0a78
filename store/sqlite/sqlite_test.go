package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/store/sqlite"
)

func TestSmoke(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.NextNumber(ctx)
		if err != nil {
			return err
		}
		if n != 10001 {
			t.Errorf("first number %d", n)
		}
		now := time.Now()
		if err := tx.InsertTicket(ctx, store.Ticket{Number: n, ID: store.NewID(), Kind: store.KindEmail, Subject: "Drucker brennt", CreatedAt: now}); err != nil {
			return err
		}
		a := &store.Activity{ID: store.NewID(), Ticket: n, CreatedAt: now}
		if err := tx.InsertActivity(ctx, a); err != nil {
			return err
		}
		return tx.Index(ctx, store.SearchEntry{ActivityID: a.ID, Ticket: n, Subject: "Drucker brennt", Reference: "T#10001"})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for _, q := range []string{"", "drucker", "T#10001", `"brennt"`} {
			got, _, err := tx.Tickets(ctx, store.TicketFilter{Query: q})
			if err != nil {
				return err
			}
			if len(got) != 1 || got[0].Activities != 1 {
				t.Errorf("%q: %+v", q, got)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
