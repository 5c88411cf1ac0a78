package postgres_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

// A list comes in its order whatever the server makes of the statement: here by plans
// that know no limits, made from counts of a time when nobody had the value.
func TestOrderUnderGenericPlans(t *testing.T) {
	const tickets = 3000
	url := testbed.SharedPostgres(t).NewDatabase(t)
	effort := store.Effort{Few: 10, Gather: 100, Walk: 1000, Found: 100, Activities: 100, Block: 8}
	db := open(t, url+"&plan_cache_mode=force_generic_plan", store.Options{Effort: &effort})
	now := time.Now()
	write := func(f func(ctx context.Context, tx *store.Tx) error) {
		t.Helper()
		if err := db.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	write(func(ctx context.Context, tx *store.Tx) error {
		for n := range int64(tickets) {
			ticket := store.Ticket{Number: 10001 + n, ID: store.NewID(), Kind: store.KindEmail, ChannelID: "a", StatusID: "s",
				Priority: store.PriorityNormal, Version: 1, CreatedAt: now, UpdatedAt: now.Add(time.Duration(n*7919%tickets) * time.Second)}
			if err := tx.InsertTicket(ctx, ticket); err != nil {
				return err
			}
		}
		return nil
	})
	analyze(t, url)
	write(func(ctx context.Context, tx *store.Tx) error {
		for n := range int64(tickets) {
			if n%3 > 0 {
				continue
			}
			if err := tx.SetFieldValue(ctx, 10001+n, "f", "v"); err != nil {
				return err
			}
			if _, err := tx.AddWatcher(ctx, 10001+n, "w"); err != nil {
				return err
			}
		}
		return nil
	})
	for name, f := range map[string]store.TicketFilter{
		"field, number": {FieldID: "f", Field: "v", Sort: "number"}, "field, -updated_at": {FieldID: "f", Field: "v", Sort: "-updated_at"},
		"watcher, -number": {WatcherID: "w", Sort: "-number"}, "watcher, updated_at": {WatcherID: "w", Sort: "updated_at"},
	} {
		var got []store.Ticket
		for f.Limit = 200; ; {
			var some []store.Ticket
			err := db.View(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
				some, f.Cursor, err = tx.Tickets(ctx, f)
				return err
			})
			if err != nil {
				t.Fatal(name, err)
			}
			if got = append(got, some...); f.Cursor == "" {
				break
			}
		}
		key := func(x store.Ticket) int64 {
			k := x.Number
			if strings.HasSuffix(f.Sort, "updated_at") {
				k = x.UpdatedAt.UnixMicro()
			}
			if strings.HasPrefix(f.Sort, "-") {
				k = -k
			}
			return k
		}
		if len(got) != tickets/3 || !slices.IsSortedFunc(got, func(x, y store.Ticket) int { return int(key(x) - key(y)) }) {
			t.Errorf("%s: %d of %d tickets, or not in order", name, len(got), tickets/3)
		}
	}
}

func analyze(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
}
